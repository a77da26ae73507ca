"""The columns of the key list."""

from django.utils.timesince import timesince, timeuntil
from unfold.decorators import display

from apikeys.environments import Environment
from apikeys.limits import WINDOWS
from apikeys.models import ApiKey, Status
from backoffice.columns import environment_column

STATUS_COLOURS = {
    Status.ACTIVE.label: "success",
    Status.INACTIVE.label: "danger",
    Status.EXPIRED.label: "warning",
}
ENVIRONMENT_COLOURS = {environment.label: environment.colour for environment in Environment}


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
        return key.permission_summary

    @display(description=f"Limits per {' / '.join(window.units[0] for window in WINDOWS)}")
    def limits_in_force(self, key: ApiKey) -> str:
        return " / ".join(f"{number:,}" for number in key.limits)

    @display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        return f"{timesince(key.last_used_at, depth=1)} ago" if key.last_used_at else "Never"

    @display(description="Expires", ordering="expires_at")
    def expires(self, key: ApiKey) -> str:
        if key.expires_at is None:
            return "Never"
        if key.is_expired():
            return f"{timesince(key.expires_at, depth=1)} ago"
        return f"in {timeuntil(key.expires_at, depth=1)}"
