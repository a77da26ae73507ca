"""What a key may do, and what one key may be more than another, or than it was before.

``excess`` is the whole rule, and reads nothing but its arguments. ``provisioning.changes`` asks it
of a managing key before every write, and ``lifecycle`` whether a change widens: of rows that are
locked.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings as django_settings

from apikeys.limits import LIMIT_FIELDS, WINDOWS, Limits, in_force, is_wider
from apikeys.models import ApiKey
from apikeys.validation import scope_of
from database.client_address import outside

ALL_CUSTOMERS = "all"
ANY_NETWORK = "any"
NEVER = "never"


class Rights(NamedTuple):
    """What a key may do. Those of a new key, before anything is chosen, are the defaults.

    ``customers``: None for all. ``limits``: the key's own, None where it follows the default.
    ``networks``: none for any. ``expires_at``: None for never.
    """

    default_limits: Limits
    permissions: tuple[str, ...] = ()
    customers: frozenset[UUID] | None = None
    limits: tuple[int | None, ...] = (None,) * len(WINDOWS)
    networks: tuple[str, ...] = ()
    expires_at: datetime | None = None

    def changed(self, settings: Mapping[str, Any]) -> "Rights":
        """Return the rights after a change of ``settings``, named as ``KeyFields`` names them."""
        chosen: dict[str, Any] = {
            "limits": tuple(
                settings.get(field, limit)
                for field, limit in zip(LIMIT_FIELDS, self.limits, strict=True)
            )
        }
        for name in ("permissions", "networks"):
            if name in settings:
                chosen[name] = tuple(settings[name])
        if "customers" in settings:
            customers = settings["customers"]
            chosen["customers"] = None if customers is None else frozenset(customers)
        if "expires_at" in settings:
            chosen["expires_at"] = settings["expires_at"]
        return self._replace(**chosen)


class Excess(NamedTuple):
    """The first thing that a key would be more than its manager: the setting, and what of it.

    Of limits ``setting`` names the window too, as ``limits.minute``.
    """

    setting: str
    missing: str


def new_rights(environment: str) -> Rights:
    return Rights(django_settings.DEFAULT_LIMITS[environment])


def rights_of(key: ApiKey) -> Rights:
    scope = scope_of(key)
    return Rights(
        django_settings.DEFAULT_LIMITS[key.environment],
        key.permissions,
        None if scope is None else frozenset(scope),
        tuple(getattr(key, field) for field in LIMIT_FIELDS),
        key.networks,
        key.expires_at,
    )


def excess(manager: Rights, target: Rights) -> Excess | None:
    """Return the first right of ``target`` that ``manager`` lacks; None if it has them all."""
    return next(excesses(manager, target), None)


def excesses(manager: Rights, target: Rights) -> Iterator[Excess]:
    """Yield each right of ``target`` that ``manager`` lacks."""
    for judge in (_of_identity, _of_limits, _of_networks, _of_expiry):
        yield from judge(manager, target)


def excess_to_touch(manager: Rights, target: Rights) -> Excess | None:
    """Return what keeps ``manager`` from a key as it is: permissions and customers alone.

    A key that is more in another way can be revoked, and changed to what the manager may give.
    """
    return next(_of_identity(manager, target), None)


def _of_identity(manager: Rights, target: Rights) -> Iterator[Excess]:
    for permission in target.permissions:
        if permission not in manager.permissions:
            yield Excess("permissions", permission)
    if manager.customers is None:
        return
    if target.customers is None:
        yield Excess("customers", ALL_CUSTOMERS)
    else:
        strangers = sorted(target.customers - manager.customers)
        yield from (Excess("customers", str(stranger)) for stranger in strangers)


def _of_limits(manager: Rights, target: Rights) -> Iterator[Excess]:
    held_to = in_force(manager.limits, manager.default_limits)
    rows = zip(WINDOWS, manager.limits, held_to, target.limits, strict=True)
    for window, own, most, limit in rows:
        if is_wider(limit, own=own, held_to=most):
            yield Excess(f"limits.{window.name}", "default" if limit is None else str(limit))


def _of_networks(manager: Rights, target: Rights) -> Iterator[Excess]:
    if not manager.networks:
        return
    if not target.networks:
        yield Excess("networks", ANY_NETWORK)
    for network in outside(target.networks, manager.networks):
        yield Excess("networks", network)


def _of_expiry(manager: Rights, target: Rights) -> Iterator[Excess]:
    if manager.expires_at is None:
        return
    if target.expires_at is None:
        yield Excess("expires_at", NEVER)
    elif target.expires_at > manager.expires_at:
        yield Excess("expires_at", target.expires_at.isoformat())
