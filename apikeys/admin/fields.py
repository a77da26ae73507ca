"""Form fields that hold people to the rules callers are held to."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from apikeys.fields import JSONObjectField
from apikeys.guard.bodies import parse_json
from apikeys.guard.problems import Problem
from apikeys.guard.serializers import MOST_OBJECT_BYTES


class MetadataField(forms.JSONField):
    """A JSON object, read as strictly as the API reads one and no larger."""

    def to_python(self, value: Any) -> Any:
        """Return the object; refuse what the API would refuse."""
        if value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        try:
            found = parse_json(value.encode("utf-8", "surrogatepass"))
        except Problem as problem:
            raise ValidationError(str(problem.detail)) from None
        if isinstance(found, dict):
            size = len(JSONObjectField().get_prep_value(found).encode())
            if size > MOST_OBJECT_BYTES:
                raise ValidationError(
                    f"This has {size} bytes as JSON. Use {MOST_OBJECT_BYTES} at most."
                )
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Show what was typed, as it was typed, if it cannot be read."""
        if data is None:
            return None
        try:
            return self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data.encode("utf-8", "replace").decode())
