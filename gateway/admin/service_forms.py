"""The forms that make and change a service, and their input for rules.

What is sent is a text with a rule a line. ``rules.js`` shows it as rows; without it the text is
edited as it is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apikeys import catalogue
from apikeys.limits import WINDOWS
from audit.actors import actor_of
from backoffice.action_forms import ActionForm
from backoffice.form_fields import WholeNumberField
from database.refusals import Refused
from gateway import lifecycle
from gateway.models import Service
from gateway.rules import ANY_KEY, EXAMPLE, PUBLIC, RuleLine, parse_rules

if TYPE_CHECKING:
    _ServiceModelForm = forms.ModelForm[Service]
else:
    _ServiceModelForm = forms.ModelForm

OFFERED_METHODS = ("*", "GET,HEAD,OPTIONS", "GET", "POST", "PUT,PATCH", "DELETE")
MAX_NAMED = 5


class RulesWidget(UnfoldAdminTextareaWidget):
    """A text area, and what the rows made of it offer."""

    template_name = "gateway/rules_widget.html"

    def __init__(self) -> None:
        super().__init__({"rows": 8, "placeholder": EXAMPLE, "spellcheck": "false"})

    class Media:
        js = ("latchkey/rules.js",)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        needs = [(ANY_KEY, "Any valid key"), (PUBLIC, "Everybody, without a key")]
        needs += catalogue.choices()
        context: dict[str, Any] = super().get_context(name, value, attrs)
        return context | {"methods": OFFERED_METHODS, "needs": needs}


def cost_warning(rules: Sequence[RuleLine]) -> str:
    """Return what to tell of rules that keys with the default limits never pass; blank if none."""
    limit, window, environment = min(
        (limit, window.name, environment)
        for environment in settings.API_ENVIRONMENTS
        for window, limit in zip(WINDOWS, settings.DEFAULT_LIMITS[environment], strict=True)
    )
    numbers = [str(number) for number, rule in enumerate(rules, start=1) if rule.cost > limit]
    # A limit of 0 is there to refuse whatever the cost.
    if not numbers or not limit:
        return ""
    more = f" and {len(numbers) - MAX_NAMED:,} more" if len(numbers) > MAX_NAMED else ""
    return (
        f"Keys with the default limit of {environment}, {limit:,} per {window}, never pass"
        f" {'rule' if len(numbers) == 1 else 'rules'} {', '.join(numbers[:MAX_NAMED])}{more}, which"
        f" cost{'s' if len(numbers) == 1 else ''} more. Lower the cost, or give the keys for it"
        " higher limits."
    )


class ServiceForm(ActionForm, _ServiceModelForm):
    """What a service and its rules are."""

    rules = forms.CharField(
        required=False,
        widget=RulesWidget,
        help_text="The first rule that matches a request decides; where none matches it is"
        " refused. One rule a line: methods or * for all, path, what it needs, and cost=5 if it"
        " counts as five requests. In a path * or {name} stands for one segment, and ** at the end"
        " for any rest. What it needs is a permission, made if it does not exist yet; any-key for"
        " any valid key; or public for everybody, without a key.",
    )

    class Meta:
        model = Service
        fields: tuple[str, ...] = ("description",)
        widgets = {"description": UnfoldAdminTextInputWidget}

    def clean_rules(self) -> tuple[RuleLine, ...]:
        lines = [" ".join(line.split()) for line in self.cleaned_data["rules"].splitlines()]
        try:
            return parse_rules(filter(None, lines))
        except Refused as refused:
            raise forms.ValidationError(str(refused)) from None


class CreateServiceForm(ServiceForm):
    """A new service."""

    class Meta(ServiceForm.Meta):
        fields = ("name", "description", "is_enabled")
        widgets = {**ServiceForm.Meta.widgets, "name": UnfoldAdminTextInputWidget}
        help_texts = {
            "name": "Proxies know the service by it, so it cannot be changed later."
            " a-z, 0-9 and -, a letter first."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[
            "rules"
        ].help_text += " Blank: reading needs NAME:read, everything else NAME:write."

    def validate_unique(self) -> None:
        """Leave it to the lifecycle, which says what to do."""

    def perform(self, request: HttpRequest) -> Service:
        cleaned = self.cleaned_data
        return lifecycle.create(
            cleaned["name"],
            actor=actor_of(request),
            description=cleaned["description"],
            is_enabled=cleaned["is_enabled"],
            rules=cleaned["rules"] or None,
        )


class ChangeServiceForm(ServiceForm):
    """A service as it was when the page was opened."""

    revision = WholeNumberField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.instance.revision
        self.initial["rules"] = "\n".join(map(str, self.instance.rule_lines))

    def perform(self, request: HttpRequest) -> Service:
        return lifecycle.update(
            self.instance,
            actor=actor_of(request),
            fields={"description": self.cleaned_data["description"]},
            rules=self.cleaned_data["rules"],
            revision=self.cleaned_data["revision"],
        )
