"""Writes audit events: actor, action, time, source and changes; and cleans the texts in them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest

from apikeys.credentials import mask
from apikeys.guard.client_address import client_address
from apikeys.limits import WINDOWS, LimitWindow
from apikeys.models import Action, ApiKey, Event, Source
from database.refusals import Refused
from database.text import check_line


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, through which source and from which address."""

    source: Source
    name: str
    user: User | None = None
    address: str | None = None

    def columns(self) -> dict[str, Any]:
        return {"source": self.source, "actor_name": self.name, "address": self.address}


def actor_of(request: HttpRequest) -> Actor:
    user = request.user
    return Actor(
        source=Source.ADMIN,
        name=user.get_username(),
        user=user if isinstance(user, User) else None,
        address=client_address(request.META, settings.TRUSTED_PROXIES),
    )


def record(
    key: ApiKey, action: Action, actor: Actor, changes: Mapping[str, Any], reason: str = ""
) -> Event:
    """Write the event of an action, inside the action's transaction.

    ``changes`` maps a field to its readable values before and after, never a secret or a digest.
    """
    return Event.objects.create(
        key=key,
        action=action,
        actor=actor.user,
        reason=reason,
        changes=dict(changes),
        **actor.columns(),
    )


def clean_text(text: str, *, field: str, longest: int) -> str:
    """Return what people wrote for others to read, and for the record, without a key in it."""
    text = text.strip()
    if len(text) > longest:
        raise Refused(
            f"The {field} has {len(text)} characters. Use {longest} at most.", field=field
        )
    try:
        check_line(text)
    except ValueError as error:
        raise Refused(f"The {field} {error}", field=field) from None
    if mask(text) != text:
        raise Refused(
            f"The {field} holds an API key. Leave the key out; its key id says which it is.",
            field=field,
        )
    return text


def set_fields(row: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set the fields of ``row`` that differ; return their values before and after."""
    changes = {}
    for name, value in values.items():
        before = getattr(row, name)
        if _differs(before, value):
            changes[name] = [_plain(before), _plain(value)]
            setattr(row, name, value)
    return changes


def _differs(before: Any, after: Any) -> bool:
    """Whether two values of a field differ; in JSON ``1``, ``1.0`` and ``true`` do."""
    if isinstance(after, dict):
        return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    return bool(before != after)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def readable(key: ApiKey, scope: Iterable[UUID] | None) -> dict[str, str | int]:
    customers = "all" if scope is None else ", ".join(str(customer) for customer in scope)
    return {
        "name": key.name,
        "environment": key.environment,
        "permissions": ", ".join(key.permissions) or "none",
        "customers": customers or "none",
        **{f"limit per {window.name}": _readable_limit(key, window) for window in WINDOWS},
        "networks": ", ".join(key.networks) or "any",
        "expires": key.expires_at.isoformat() if key.expires_at else "never",
    }


def _readable_limit(key: ApiKey, window: LimitWindow) -> str | int:
    limit: int | None = getattr(key, window.field)
    return "default" if limit is None else limit
