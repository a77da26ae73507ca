"""A form over a row as it was when the page was opened."""

from typing import Any

from django import forms

from apikeys.guard.answers import etag
from backoffice.action_forms import ActionForm
from database.refusals import Conflict


class SeenForm(ActionForm, forms.ModelForm):  # type: ignore[type-arg]
    """Refuses to write over somebody else's change."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["seen"] = etag(self.instance.pk, self.instance.updated_at)

    def require_seen(self, row: Any) -> None:
        """Raise ``Conflict`` unless ``row`` is as the page showed it."""
        if self.cleaned_data["seen"] not in {"", etag(row.pk, row.updated_at)}:
            raise Conflict(
                f"The {row._meta.verbose_name} was changed after this page was opened."
                " Reload it and try again."
            )
