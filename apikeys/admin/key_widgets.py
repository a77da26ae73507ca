"""Inputs of the key form that the admin does not have."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from unfold.widgets import CHECKBOX_CLASSES

from apikeys.models import ApiKey
from backoffice.selection import is_id


class PermissionsWidget(forms.CheckboxSelectMultiple):
    """Permissions as check boxes, grouped by resource."""

    template_name = "apikeys/permissions_widget.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.attrs["class"] = " ".join(CHECKBOX_CLASSES)


class CustomersWidget(AutocompleteSelectMultiple):
    """Customers of the key's environment, or of the one that the form has chosen."""

    key_id: str | None = None

    def __init__(self) -> None:
        super().__init__(ApiKey._meta.get_field("customers"), admin.site)

    def get_url(self) -> str:
        address = str(super().get_url())
        return f"{address}?{urlencode({'key': self.key_id})}" if self.key_id else address

    def build_attrs(
        self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Leave it to our own script to start, which adds the environment to each search."""
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        attrs["class"] = "customers-widget"
        return attrs

    def optgroups(self, name: str, value: Any, attrs: dict[str, Any] | None = None) -> Any:
        """Show the customers chosen; what is no id is none of them."""
        return super().optgroups(name, [text for text in value if is_id(text)], attrs)

    @property
    def media(self) -> forms.Media:
        """Return what select2 needs, and no script that would start it."""
        return forms.Media(
            js=(
                "admin/js/vendor/jquery/jquery.min.js",
                "admin/js/vendor/select2/select2.full.js",
                "admin/js/jquery.init.js",
            ),
            css={"screen": ("admin/css/vendor/select2/select2.css", "admin/css/autocomplete.css")},
        )
