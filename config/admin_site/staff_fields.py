"""The fields of a staff account that give rights, in words for whoever gives them."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils.html import format_html
from unfold.widgets import CHECKBOX_CLASSES

from config.admin_site.roles import DESCRIPTIONS

FLAG_TEXTS = {
    "is_active": "Cleared, nobody can use the account, and who is signed in with it is signed out."
    " Clear it instead of deleting the account.",
    "is_staff": "Only accounts with it can sign in to these pages.",
    "is_superuser": "May do everything, and alone gives roles. It needs no role beside it.",
}


class RolesWidget(forms.CheckboxSelectMultiple):
    """Roles as check boxes, each with what it lets a person do."""

    template_name = "config/roles_widget.html"

    def __init__(self) -> None:
        super().__init__(attrs={"class": " ".join(CHECKBOX_CLASSES)})


class RolesField(forms.ModelMultipleChoiceField):
    """Any number of roles: an account may do what any of its roles lets it do."""

    def __init__(self) -> None:
        super().__init__(
            Group.objects.order_by("name"),
            required=False,
            widget=RolesWidget(),
            label="Roles",
            help_text="With several roles a person may do what any of them allows.",
        )

    def label_from_instance(self, obj: Any) -> str:
        text = DESCRIPTIONS.get(obj.name) or "A role of your own."
        return format_html('{} <span class="latchkey-caption">{}</span>', obj.name, text)
