"""Form fields that hold people to the rules callers are held to."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from database.fields import MAX_OBJECT_BYTES, object_bytes
from database.strict_json import InvalidJSON, parse_json
from database.text import check_line

NUMBER = re.compile("-?[0-9]{1,20}")


class LineField(forms.CharField):
    """A name that people read: one line without characters that cannot be seen."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            check_line(text or "")
        except ValueError as error:
            raise ValidationError(f"This {error}") from None
        return text


class WholeNumberField(forms.IntegerField):
    """A number of ASCII digits; ``int`` also reads 1_000 and the digits of other scripts."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip() and not NUMBER.fullmatch(value.strip()):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class MetadataField(forms.JSONField):
    """A JSON object, read as strictly as the API reads one and no larger."""

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        try:
            parsed = parse_json(value.encode("utf-8", "surrogatepass"))
        except InvalidJSON as error:
            raise ValidationError(f"This cannot be read: {error}. Write one JSON value.") from None
        if isinstance(parsed, dict):
            size = object_bytes(parsed)
            if size > MAX_OBJECT_BYTES:
                raise ValidationError(
                    f"This has {size} bytes as JSON. Use {MAX_OBJECT_BYTES} at most."
                )
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Show what was typed, as it was typed, if it cannot be read."""
        if data is None:
            return None
        try:
            return self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data.encode("utf-8", "replace").decode())
