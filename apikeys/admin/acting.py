"""Forms that do what they ask for: a refusal becomes an error beside the field it is about.

The act is the last step of validation, so whatever was typed is still there when it is
refused, and a form that is valid has been carried out.
"""

from typing import Any

from django import forms
from django.http import HttpRequest

from apikeys.rules import Refused


class ActingForm(forms.BaseForm):
    """A mixin for forms; ``act`` calls the lifecycle."""

    request: HttpRequest
    outcome: Any = None
    _was_tried = False

    def act(self) -> Any:
        """Do what the form asks for, from ``cleaned_data``; raise ``Refused`` if it may not be."""
        raise NotImplementedError

    def is_valid(self) -> bool:
        """Validate, then act, once."""
        if not super().is_valid():
            return False
        if not self._was_tried:
            self._was_tried = True
            try:
                self.outcome = self.act()
            except Refused as refused:
                field = refused.setting if refused.setting in self.fields else None
                self.add_error(field, str(refused))
        return not self.errors
