"""Forms that do what they ask for: a refusal becomes an error beside the field it is about.

The act is the last step of validation, so whatever was typed is still there when it is
refused, and a form that is valid has been carried out.
"""

from typing import Any, Generic, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest
from unfold.forms import BaseDialogForm

from database.refusals import Refused

M = TypeVar("M", bound=Model)


def find(model: type[M], object_id: Any) -> M | None:
    """Return the row that an address names; None if there is none, or the id cannot be one."""
    try:
        return model._default_manager.filter(pk=object_id).first()
    except (ValidationError, ValueError):
        return None


class ActionForm(forms.BaseForm):
    """A mixin for forms; ``act`` calls the lifecycle."""

    request: HttpRequest
    outcome: Any = None
    _was_tried = False

    def perform(self) -> Any:
        """Do what the form asks for, from ``cleaned_data``; raise ``Refused`` if it may not be."""
        raise NotImplementedError

    def is_valid(self) -> bool:
        if not super().is_valid():
            return False
        if not self._was_tried:
            self._was_tried = True
            try:
                self.outcome = self.perform()
            except Refused as refused:
                field = refused.field if refused.field in self.fields else None
                self.add_error(field, str(refused))
        return not self.errors


class ActionDialog(ActionForm, BaseDialogForm, Generic[M]):
    """A dialog about one row of ``model``, which shows why it was refused."""

    form_before_template = "backoffice/dialog_errors.html"
    model: type[M]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = find(self.model, self.object_id)
        if found is None:
            raise Http404
        self.row = found

    def get_before_template_context(self, request: Any, object_id: Any = None) -> dict[str, Any]:
        """Return the errors that belong to no field."""
        return {"errors": self.non_field_errors()}
