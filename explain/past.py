"""Keys and services as they were: the present row, walked back through its audit events.

An event holds what a setting was before and after. Where one does not lead to the next, or to the
present row, something changed past the audit trail, and the setting is called unknown.
"""

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from apikeys import validation
from apikeys.audited import Action, readable
from apikeys.limits import WINDOWS
from apikeys.models import ApiKey, CustomerScope
from audit.models import Event
from database.refusals import Refused
from gateway.audited import SERVICES, ServiceAction
from gateway.models import Service
from gateway.rules import RuleLine, parse_rules, read_numbers

STATUS, REVOKED, ACTIVE = "status", "inactive", "active"


class PastKey(NamedTuple):
    """A key at a time, its customers (None for all), and the settings that are not known."""

    key: ApiKey
    customers: frozenset[UUID] | None
    unknown: frozenset[str]


class PastService(NamedTuple):
    """A service at a time; None for what is not known."""

    is_enabled: bool | None
    rules: tuple[RuleLine, ...] | None


def events_of_key(key: ApiKey) -> Iterable[Event]:
    """Return the audit events of a key, newest first."""
    return Event.objects.about(key)


def events_of_service(name: str) -> Iterable[Event]:
    """Return the audit events of the services of a name, newest first."""
    return Event.objects.filter(object_type=SERVICES.model, object_id=name)


def key_at(key: ApiKey, timestamp: datetime) -> PastKey:
    """Return a key as it was; before it was created, as it was then."""
    values = _settings(key)
    unknown: set[str] = set()
    # What no event before the time has confirmed yet.
    unconfirmed = set(values)
    for event in events_of_key(key):
        differences = _differences(event)
        if event.created_at > timestamp and event.action != Action.CREATED:
            values |= {name: before for name, (before, _) in differences.items()}
            continue
        for name in unconfirmed & differences.keys():
            if _comparable(values[name]) != _comparable(differences[name][1]):
                unknown.add(name)
        unconfirmed -= differences.keys()
        if not unconfirmed:
            break
    past, customers = _with_settings(key, values)
    return PastKey(past, customers, frozenset(unknown))


def _settings(key: ApiKey) -> dict[str, Any]:
    """Return the settings of a key as its events write them."""
    status = REVOKED if key.is_revoked else ACTIVE
    settings = readable(key, validation.scope_of(key))
    return {name: text for name, text in settings.items() if name in SETTINGS} | {STATUS: status}


def _differences(event: Event) -> dict[str, Any]:
    changes = {name: pair for name, pair in event.changes.items() if name in SETTINGS}
    if event.action == Action.CREATED:
        changes[STATUS] = [None, ACTIVE]
    elif STATUS in changes:
        # One that is activated past its expiry is said to be expired.
        changes[STATUS] = [REVOKED if one == REVOKED else ACTIVE for one in changes[STATUS]]
    return changes


def _comparable(value: Any) -> Any:
    return frozenset(value.split(", ")) if isinstance(value, str) else value


# Those that a request is judged by, and the name.
SETTINGS = frozenset(
    {
        "name", "environment", "permissions", "customers", "networks", "expires", STATUS,
        *(f"limit per {window.name}" for window in WINDOWS),
    }
)  # fmt: skip


def _with_settings(key: ApiKey, values: dict[str, Any]) -> tuple[ApiKey, frozenset[UUID] | None]:
    """Return a copy of a key with the settings that ``values`` are written for."""
    past = copy(key)
    past.name = values["name"]
    past.permissions = _words(values["permissions"], "none")
    past.networks = _words(values["networks"], "any")
    for window in WINDOWS:
        limit = values[f"limit per {window.name}"]
        setattr(past, window.field, None if limit == "default" else limit)
    expires = values["expires"]
    past.expires_at = None if expires == "never" else datetime.fromisoformat(expires)
    if values[STATUS] == ACTIVE:
        past.revoked_at = None
    elif past.revoked_at is None:
        # When exactly is of no consequence to any check.
        past.revoked_at = past.created_at
    customers = values["customers"]
    if customers == "all":
        past.customer_scope = CustomerScope.ALL
        return past, None
    past.customer_scope = CustomerScope.SELECTED
    return past, frozenset(map(UUID, _words(customers, "none")))


def _words(text: str, none: str) -> tuple[str, ...]:
    return () if text == none else tuple(text.split(", "))


def service_now(name: str) -> PastService | None:
    service = Service.objects.filter(name=name).first()
    return None if service is None else PastService(service.is_enabled, service.rule_lines)


def service_at(name: str, timestamp: datetime) -> PastService | None:
    """Return a service as it was; None where there was none of the name."""
    now = service_now(name)
    is_there = now is not None
    is_enabled = now.is_enabled if now else None
    lines = [str(rule) for rule in now.rules or ()] if now else None
    for event in events_of_service(name):
        if event.created_at <= timestamp:
            break
        if event.action == ServiceAction.CREATED:
            is_there, is_enabled, lines = False, None, None
            continue
        is_there = True
        if "is_enabled" in event.changes:
            is_enabled = event.changes["is_enabled"][0]
        if "rules" in event.changes:
            lines = _lines_before(event, lines)
    return PastService(is_enabled, _parsed(lines)) if is_there else None


def _lines_before(event: Event, after: list[str] | None) -> list[str] | None:
    """Return a service's rules as they were before an event; None if it does not say that."""
    went, came = event.changes["rules"]
    if event.action == ServiceAction.DELETED:
        return _split(went)
    if after is None or "rule numbers" not in event.changes:
        return None
    went_places, came_places = map(read_numbers, event.changes["rule numbers"])
    if [after[place] for place in came_places if place < len(after)] != _split(came):
        return None
    gone = set(came_places)
    before = [line for place, line in enumerate(after) if place not in gone]
    for place, line in zip(went_places, _split(went), strict=True):
        before.insert(place, line)
    return before


def _split(text: str) -> list[str]:
    return text.split("\n") if text else []


def _parsed(lines: list[str] | None) -> tuple[RuleLine, ...] | None:
    try:
        return None if lines is None else parse_rules(lines)
    except Refused:
        return None
