"""The list of keys, its columns and filters, and keys in the one search."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display

from apikeys import catalogue
from apikeys.credentials import ID_LENGTH, KEY_ID
from apikeys.environments import Environment
from apikeys.limits import WINDOWS
from apikeys.models import ApiKey, Status
from apikeys.validation import TAG
from backoffice.columns import ago, day, environment_column
from backoffice.filters import ChoiceFilter
from backoffice.finding.registry import MAX_FOUND, Found, by_name, finder
from backoffice.finding.terms import MIN_ID_DIGITS, Term

STATUS_COLOURS = {
    Status.ACTIVE.label: "success",
    Status.AWAITING.label: "info",
    Status.INACTIVE.label: "danger",
    Status.EXPIRED.label: "warning",
}
ENVIRONMENT_COLOURS = {environment.label: environment.colour for environment in Environment}

NO_PERMISSION, BLOCKED = (
    format_html('<span class="latchkey-warning">{}</span>', word) for word in ("None", "Blocked")
)


class KeyColumns:
    """The columns of the key list."""

    @display(description="Key", header=True, ordering="name")
    def named(self, key: ApiKey) -> list[str]:
        return [key.name, key.pk]

    in_environment = environment_column(ENVIRONMENT_COLOURS, ordering="environment")

    @display(description="Status", label=STATUS_COLOURS)
    def in_status(self, key: ApiKey) -> str:
        return str(key.status.label)

    @display(description="Permissions")
    def permission_summary(self, key: ApiKey) -> str:
        return key.permission_summary if key.permissions else NO_PERMISSION

    @display(description=f"Limits per {' / '.join(window.units[0] for window in WINDOWS)}")
    def limits_in_force(self, key: ApiKey) -> str:
        limits = " / ".join(f"{number:,}" for number in key.limits)
        return format_html("{} {}", BLOCKED, limits) if 0 in key.limits else limits

    @display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        return ago(key.last_used_at)

    @display(description="Expires", ordering="expires_at")
    def expires(self, key: ApiKey) -> str:
        return ago(key.expires_at)

    @display(description="Customers")
    def reaches(self, key: ApiKey) -> str:
        if not key.is_scoped:
            return "All customers"
        number: int = key.customer_count  # type: ignore[attr-defined]
        return f"{number:,} customer{'' if number == 1 else 's'}"

    @display(description="Owner", ordering="owner")
    def owned(self, key: ApiKey) -> str:
        tags = format_html('<div class="latchkey-caption">{}</div>', ", ".join(key.tags))
        return format_html("{}{}", key.owner or "-", tags if key.tags else "")

    @display(description="Created", ordering="created_at")
    def made(self, key: ApiKey) -> str:
        person = f" by {key.created_by}" if key.created_by else ""
        return format_html("{}{}", day(key.created_at), person)


class StatusFilter(ChoiceFilter):
    """Active, inactive, expired."""

    title = parameter_name = "status"
    offered = Status.choices

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.with_status(value)


class PermissionFilter(ChoiceFilter):
    """Keys that were given a permission."""

    title = parameter_name = "permission"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return catalogue.choices()

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.granted(value)


class UseFilter(ChoiceFilter):
    """Keys that were never used, or not for a while."""

    title = "last used"
    parameter_name = "use"
    offered = (
        ("never", "Never used"),
        *((f"idle-{days}", f"Not for {days} days") for days in (30, 90, 365)),
    )

    def fitting(self, rows: Any, value: str) -> Any:
        """Keys that could be used: others only if their status is asked for, too."""
        if not self.request.GET.get(StatusFilter.parameter_name):
            rows = rows.active()
        if value == "never":
            return rows.never_used()
        days = int(value.removeprefix("idle-"))
        return rows.idle_since(timezone.now() - timedelta(days=days))


class ExpiryFilter(ChoiceFilter):
    """Keys whose time runs out."""

    title = parameter_name = "expiry"
    offered = (
        *((f"{days}", f"Within {days} days") for days in (7, 30, 90)),
        ("none", "Never expires"),
    )

    def fitting(self, rows: Any, value: str) -> Any:
        if value == "none":
            return rows.filter(expires_at=None)
        return rows.expiring_before(timezone.now() + timedelta(days=int(value)))


class TagFilter(TextFilter):
    """Keys that have a tag."""

    title = parameter_name = "tag"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        tag = (self.value() or "").strip()
        if not tag:
            return queryset
        return queryset.tagged(tag) if TAG.fullmatch(tag) else queryset.none()


class OwnerFilter(TextFilter):
    """Keys of an owner."""

    title = parameter_name = "owner"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        owner = (self.value() or "").strip().replace("\0", "")
        return queryset.owned_by(owner) if owner else queryset


@finder("API keys", "name or key id", permission="apikeys.view_apikey")
def find_keys(term: Term) -> Iterator[Found]:
    if MIN_ID_DIGITS <= len(term.text) <= ID_LENGTH and term.text.isalnum():
        rows = list(ApiKey.objects.filter(pk__begins_with=term.text).order_by("pk")[:MAX_FOUND])
        if KEY_ID.fullmatch(term.text) and rows:
            yield _found(rows[0], is_exact=True)
            return
        yield from map(_found, rows)
    yield from map(_found, by_name(ApiKey.objects.all(), term, order="-created_at"))


def _found(key: ApiKey, *, is_exact: bool = False) -> Found:
    detail = f"{key.pk}, {key.get_environment_display()}, {key.status.label.lower()}"
    return Found(key, key.name, detail, is_exact)
