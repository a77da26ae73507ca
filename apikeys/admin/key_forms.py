"""The key form: creating, changing and narrowing a key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import HORIZONTAL
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.core import signing
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import (
    CHECKBOX_CLASSES,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apikeys import catalogue, credentials, lifecycle, validation
from apikeys.environments import Environment
from apikeys.limits import LIMIT_FIELDS, WINDOWS, LimitWindow, by_window
from apikeys.models import ApiKey, CustomerScope
from apikeys.models.keys import customer_model
from apikeys.validation import KeyFields
from audit.actors import actor_of
from backoffice.action_forms import ActionForm
from backoffice.form_fields import WholeNumberField
from backoffice.selection import is_id
from database.refusals import Refused

if TYPE_CHECKING:
    _KeyModelForm = forms.ModelForm[ApiKey]
else:
    _KeyModelForm = forms.ModelForm

TICKETS = signing.TimestampSigner(salt="apikeys.admin.new-key")
TICKET_AGE = timedelta(hours=24)
KEEP, NEVER, CUSTOM = "keep", "never", "custom"
COPY = " (copy)"
PRESETS = [("30", "In 30 days"), ("60", "In 60 days"), ("90", "In 90 days"), ("365", "In a year")]


class PermissionsWidget(forms.CheckboxSelectMultiple):
    """Permissions as check boxes, grouped by resource."""

    template_name = "apikeys/permissions_widget.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.attrs["class"] = " ".join(CHECKBOX_CLASSES)
        # What to say of a permission, by its code.
        self.remarks: dict[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        return {**option, "remark": self.remarks.get(str(value), "")}


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


def default_limits(environment: str) -> dict[str, int]:
    return by_window(settings.DEFAULT_LIMITS[environment])


class LimitsForm(ActionForm, _KeyModelForm):
    """What every form of a key can set: permissions and limits."""

    permissions = forms.MultipleChoiceField(required=False, widget=PermissionsWidget)

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = LIMIT_FIELDS
        field_classes = dict.fromkeys(LIMIT_FIELDS, WholeNumberField)
        widgets = dict.fromkeys(LIMIT_FIELDS, UnfoldAdminIntegerFieldWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["permissions"].choices = self.offered_permissions()  # type: ignore[attr-defined]
        for window in WINDOWS:
            # The highest limit is the lifecycle's rule; the field only asks for a number.
            field = self.fields[window.field]
            field.widget.attrs["placeholder"] = self._default(window)
            field.help_text = f"Blank: the default{self._defaults(window)}. 0: no requests at all."

    def _default(self, window: LimitWindow) -> str:
        """Return what is in force where the field stays blank."""
        if not self.instance.pk:
            return "default"
        return f"{default_limits(self.instance.environment)[window.name]:,} (default)"

    def _defaults(self, window: LimitWindow) -> str:
        """Return the defaults of the environments, for a key that has none yet."""
        if self.instance.pk:
            return ""
        numbers = (
            f"{default_limits(environment)[window.name]:,} in {environment.label.lower()}"
            for environment in Environment
        )
        return f", {', '.join(numbers)}"

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
        label="Customers",
        help_text="Whose data the key can read and change.",
    )
    customers: Any = forms.ModelMultipleChoiceField(
        queryset=None,
        required=False,
        widget=CustomersWidget,
        label="Selected customers",
        help_text="Type a part of the name.",
    )
    networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "203.0.113.0/24"}),
        label="Allowed networks",
        help_text="One a line, IPv4 or IPv6. Blank: from anywhere.",
    )

    tags = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "billing team:web"}),
        help_text="Separated by blanks.",
    )

    class Meta(LimitsForm.Meta):
        fields = ("name", *LIMIT_FIELDS, "owner", "note")
        widgets = {
            **LimitsForm.Meta.widgets,
            **dict.fromkeys(("name", "owner", "note"), UnfoldAdminTextInputWidget),
        }
        help_texts = {
            "name": "What the key is for, such as Main Website Integration.",
            "owner": "A person or a team that answers for the key.",
            "note": "The key's holder is told none of these.",
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
            self.initial["tags"] = " ".join(key.tags)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("expiry") != CUSTOM:
            cleaned["expires_on"] = None
        elif "expires_on" in cleaned and not cleaned["expires_on"]:
            self.add_error("expires_on", "Choose the date and time at which the key expires.")
        self._check("name", validation.clean_name)
        self._check(
            "networks", lambda text: validation.clean_networks(text.replace(",", " ").split())
        )
        self._check("tags", lambda text: validation.clean_tags(text.replace(",", " ").split()))
        self._check("expires_on", lambda at: validation.clean_expiry(at, timezone.now()))
        if cleaned.get("customer_scope") == CustomerScope.SELECTED:
            self._refuse_other_environments(cleaned)
        return cleaned

    def _check(self, field: str, clean: Callable[[Any], Any]) -> None:
        """Apply a rule of the lifecycle here too, so that all errors are told in one round."""
        if field not in self.cleaned_data:
            return
        try:
            self.cleaned_data[field] = clean(self.cleaned_data[field])
        except Refused as refused:
            self.add_error(field, str(refused))

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
            "networks": cleaned["networks"],
            "expires_at": self._expires_at(),
            **{name: cleaned[name] for name in ("tags", "owner", "note")},  # type: ignore[typeddict-item]
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


def initial_like(key: ApiKey) -> dict[str, Any]:
    """Return what the form of a new key begins with to become one like ``key``."""
    settings: dict[str, Any] = {**validation.settings_of(key)}
    customers, expires_at = settings.pop("customers"), settings.pop("expires_at")
    return settings | {
        "name": f"{key.name[: validation.MAX_NAME_LENGTH - len(COPY)]}{COPY}",
        "environment": key.environment,
        "networks": "\n".join(key.networks),
        "tags": " ".join(key.tags),
        "customer_scope": key.customer_scope,
        "customers": customers or (),
        # One that has passed is refused until another is chosen.
        "expiry": NEVER if expires_at is None else CUSTOM,
        "expires_on": expires_at and f"{expires_at.astimezone(UTC):%Y-%m-%dT%H:%M}",
    }


class CreateKeyForm(KeyForm):
    """A new key. The form brings its key id, so that sent twice it makes one key."""

    environment = forms.ChoiceField(
        choices=Environment.choices,
        initial=Environment.DEVELOPMENT,
        widget=UnfoldAdminRadioSelectWidget(radio_style=HORIZONTAL),
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
