"""The key form: creating, changing and narrowing a key."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.core import signing
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apikeys import catalogue, credentials, lifecycle
from apikeys.admin.key_widgets import CustomersWidget, PermissionsWidget
from apikeys.audit import actor_of
from apikeys.environments import Environment
from apikeys.limits import LIMIT_FIELDS
from apikeys.models import ApiKey, CustomerScope
from apikeys.models.keys import customer_model
from apikeys.validation import KeyFields
from backoffice.action_forms import ActionForm
from backoffice.form_fields import WholeNumberField

if TYPE_CHECKING:
    _KeyModelForm = forms.ModelForm[ApiKey]
else:
    _KeyModelForm = forms.ModelForm

TICKETS = signing.TimestampSigner(salt="apikeys.admin.new-key")
TICKET_AGE = timedelta(hours=24)
KEEP, NEVER, CUSTOM = "keep", "never", "custom"
PRESETS = [("30", "In 30 days"), ("60", "In 60 days"), ("90", "In 90 days"), ("365", "In a year")]


class LimitsForm(ActionForm, _KeyModelForm):
    """What every form of a key can set: permissions and limits."""

    permissions = forms.MultipleChoiceField(required=False, widget=PermissionsWidget)

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = LIMIT_FIELDS
        field_classes = dict.fromkeys(LIMIT_FIELDS, WholeNumberField)
        widgets = dict.fromkeys(LIMIT_FIELDS, UnfoldAdminIntegerFieldWidget)
        help_texts = {LIMIT_FIELDS[0]: "Blank: the environment's default. 0: no requests at all."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["permissions"].choices = self.offered_permissions()  # type: ignore[attr-defined]
        for field in LIMIT_FIELDS:
            # The highest limit is the lifecycle's rule; the field only asks for a number.
            self.fields[field].widget.attrs["placeholder"] = "default"

    def offered_permissions(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the groups of check boxes, by resource."""
        return list(catalogue.by_resource().items())

    def settings(self) -> KeyFields:
        names = ("permissions", *LIMIT_FIELDS)
        return cast(KeyFields, {name: self.cleaned_data[name] for name in names})


class KeyForm(LimitsForm):
    """All settings of a key but its environment."""

    expiry = forms.ChoiceField(widget=UnfoldAdminSelectWidget, label="Expires")
    expires_on = forms.DateTimeField(
        required=False,
        label="On (UTC)",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
    )
    customer_scope = forms.ChoiceField(
        choices=CustomerScope.choices,
        initial=CustomerScope.ALL,
        widget=UnfoldAdminRadioSelectWidget,
        label="Reaches",
    )
    customers: Any = forms.ModelMultipleChoiceField(
        queryset=None, required=False, widget=CustomersWidget, help_text="Type a part of the name."
    )
    networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "203.0.113.0/24"}),
        label="Allowed networks",
        help_text="One a line, IPv4 or IPv6. Blank: from anywhere.",
    )

    class Meta(LimitsForm.Meta):
        fields = ("name", *LIMIT_FIELDS)
        widgets = {**LimitsForm.Meta.widgets, "name": UnfoldAdminTextInputWidget}
        help_texts = {
            **LimitsForm.Meta.help_texts,
            "name": "What the key is for, such as Main Website Integration.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customers"].queryset = customer_model()._default_manager.all()  # type: ignore[attr-defined]
        key = self.instance
        choices = [(NEVER, "Never"), *PRESETS, (CUSTOM, "On a date")]
        if key.expires_at:
            choices.insert(0, (KEEP, f"{key.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"))
        self.fields["expiry"].choices = choices  # type: ignore[attr-defined]
        self.fields["expiry"].initial = KEEP if key.expires_at else NEVER
        if key.pk:
            self.fields["customers"].widget.key_id = key.pk
            self.initial["customers"] = [row.customer_id for row in key.scope.all()]
            self.initial["networks"] = "\n".join(key.networks)
            self.initial["permissions"] = key.permissions
            self.initial["customer_scope"] = key.customer_scope

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("expiry") == CUSTOM and not cleaned.get("expires_on"):
            self.add_error("expires_on", "Choose the date and time at which the key expires.")
        if cleaned.get("customer_scope") == CustomerScope.SELECTED:
            self._refuse_other_environments(cleaned)
        return cleaned

    def _refuse_other_environments(self, cleaned: dict[str, Any]) -> None:
        # The lifecycle refuses them too, but must not reveal their names to callers.
        environment = cleaned.get("environment") or self.instance.environment
        for customer in cleaned.get("customers") or ():
            if environment and customer.environment != environment:
                self.add_error(
                    "customers",
                    f"{customer} is a customer of {customer.get_environment_display()}."
                    f" Choose customers of {Environment(environment).label}.",
                )

    def settings(self) -> KeyFields:
        cleaned = self.cleaned_data
        is_scoped = cleaned["customer_scope"] == CustomerScope.SELECTED
        return {
            **super().settings(),
            "name": cleaned["name"],
            "customers": [customer.pk for customer in cleaned["customers"]] if is_scoped else None,
            "networks": cleaned["networks"].replace(",", " ").split(),
            "expires_at": self._expires_at(),
        }

    def _expires_at(self) -> datetime | None:
        match self.cleaned_data["expiry"]:
            case "never":
                return None
            case "keep":
                return self.instance.expires_at
            case "custom":
                chosen: datetime = self.cleaned_data["expires_on"]
                return chosen
            case days:
                return timezone.now() + timedelta(days=int(days))


class CreateKeyForm(KeyForm):
    """A new key. The form brings its key id, so that sent twice it makes one key."""

    environment = forms.ChoiceField(
        choices=Environment.choices,
        initial=Environment.DEVELOPMENT,
        widget=UnfoldAdminSelectWidget,
        help_text="Cannot be changed later.",
    )
    ticket = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["ticket"] = TICKETS.sign(credentials.new_key_id())

    def clean_ticket(self) -> str:
        try:
            return TICKETS.unsign(self.cleaned_data["ticket"], max_age=TICKET_AGE)
        except signing.BadSignature:
            raise forms.ValidationError(
                "This form is more than a day old or was changed. Open a new one."
            ) from None

    def perform(self, request: HttpRequest) -> lifecycle.IssuedKey:
        return lifecycle.create(
            environment=Environment(self.cleaned_data["environment"]),
            actor=actor_of(request),
            key_id=self.cleaned_data["ticket"],
            **self.settings(),
        )


class RevisionForm(LimitsForm):
    """A form over a key as it was when the page was opened."""

    revision = WholeNumberField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.instance.revision
        self.initial["permissions"] = self.instance.permissions


class ChangeKeyForm(RevisionForm, KeyForm):
    """All settings of a key that exists."""

    class Meta(KeyForm.Meta):
        pass

    def perform(self, request: HttpRequest) -> ApiKey:
        lifecycle.update(
            self.instance,
            actor=actor_of(request),
            revision=self.cleaned_data["revision"],
            **self.settings(),
        )
        return self.instance


class NarrowKeyForm(RevisionForm):
    """What an operator may do: remove permissions, lower limits."""

    def offered_permissions(self) -> list[tuple[str, list[tuple[str, str]]]]:
        granted = set(self.instance.permissions)
        return [
            (resource, kept)
            for resource, group in super().offered_permissions()
            if (kept := [choice for choice in group if choice[0] in granted])
        ]

    def perform(self, request: HttpRequest) -> ApiKey:
        lifecycle.narrow(
            self.instance,
            actor=actor_of(request),
            revision=self.cleaned_data["revision"],
            **self.settings(),
        )
        return self.instance
