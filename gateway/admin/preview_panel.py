"""The panel that tells what a request would be answered, and by which rule: nothing is counted."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apikeys.credentials import mask
from apikeys.models import ApiKey
from apikeys.problem_codes import CODES
from gateway import decisions
from gateway.admin.proxies_panel import served_environments
from gateway.models import Service
from gateway.patterns import MAX_URI_LENGTH

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_NAMED = 5


class PreviewForm(forms.Form):
    """A request that nobody sends."""

    environment = forms.ChoiceField(choices=served_environments, widget=UnfoldAdminSelectWidget)
    method = forms.ChoiceField(
        choices=[(method, method) for method in METHODS], widget=UnfoldAdminSelectWidget
    )
    path = forms.CharField(
        max_length=MAX_URI_LENGTH,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "/v1/orders/17"}),
    )
    key = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "none", "autocomplete": "off"}),
        label="Key id or name",
    )
    address = forms.GenericIPAddressField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "any"}),
        label="Client address",
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        text = data.get("key", "") if data else ""
        self.has_secret = mask(text) != text
        if data and self.has_secret:
            # Not shown again.
            data = data.copy()
            data["key"] = ""
        super().__init__(data, auto_id="id_preview_%s")

    def clean_key(self) -> ApiKey | None:
        if self.has_secret:
            raise ValidationError("This was a whole key. Write its key id or its name.")
        text = self.cleaned_data["key"]
        return _key_named(text, self.cleaned_data.get("environment", "")) if text else None

    def result(self, service: Service) -> dict[str, Any]:
        """Return what the valid form's request would be answered."""
        request = {**self.cleaned_data, "address": self.cleaned_data["address"] or None}
        preview = decisions.preview(service.name, **request)
        rules = service.rule_lines
        return {
            "preview": preview,
            "title": CODES[preview.code].title if preview.code else "The request passes",
            "number": rules.index(preview.rule) + 1 if preview.rule in rules else None,
            "key": request["key"],
        }


def _key_named(text: str, environment: str) -> ApiKey:
    """Return the key of an id, or of a name: one of the environment rather than another's."""
    named = ApiKey.objects.filter(name__iexact=text).order_by("pk")
    keys = (
        list(ApiKey.objects.filter(pk=text))
        or list(named.filter(environment=environment)[:MAX_NAMED])
        or list(named[:MAX_NAMED])
    )
    if not keys:
        raise ValidationError(f"There is no key {text!r}. Write a key id as the list shows it.")
    if len(keys) > 1:
        ids = ", ".join(key.pk for key in keys)
        raise ValidationError(f"Several keys have this name. Write a key id, such as {ids}.")
    return keys[0]
