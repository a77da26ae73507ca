"""Validates a key's settings, for every source, and decides what widens a key's rights."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.utils import timezone

from apikeys import catalogue
from apikeys.environments import Environment
from apikeys.limits import LIMIT_FIELDS, MAX_LIMIT, WINDOWS, LimitFields, LimitWindow, is_wider
from apikeys.models import ApiKey, KeyCustomer
from apikeys.models.keys import MAX_NOTE_LENGTH, MAX_OWNER_LENGTH, customer_model
from apikeys.texts import clean_text
from audit.actors import Actor
from database import client_address
from database.refusals import ProofRequired, Refused

MAX_NETWORKS = 100
MAX_NAME_LENGTH = 100
MAX_REASON_LENGTH = 500
# Keys that one page compares with what they are to become.
MAX_CHANGED = 200
MAX_TAGS = 20
MAX_TAG_LENGTH = 40
TAG = re.compile(rf"[a-z0-9][a-z0-9._:/-]{{0,{MAX_TAG_LENGTH - 1}}}")


class KeyFields(LimitFields, total=False):
    """What may be chosen for a key, and changed later. A setting left out stays as it is.

    ``customers``: ids of the selected customers, or None for all. ``expires_at``: None for never.
    """

    name: str
    permissions: Iterable[str]
    customers: Iterable[UUID] | None
    networks: Iterable[str]
    expires_at: datetime | None
    tags: Iterable[str]
    owner: str
    note: str


# Settings that body and manifest write as they are stored.
PLAIN_FIELDS = ("name", "permissions", "networks", "tags", "owner", "note")


def clean(settings: KeyFields, *, environment: str, now: datetime) -> dict[str, Any]:
    """Return ``settings`` in the form they are stored in; raise ``Refused`` naming the first wrong.

    Called in a transaction: the catalogue keeps the permissions until its end.
    An expiry is compared with ``now`` by the caller's wish alone: one that is kept as it was
    may have passed.
    """
    cleaners: dict[str, Callable[[Any], Any]] = {
        "name": clean_name,
        "permissions": catalogue.ordered,
        "customers": lambda ids: clean_customers(ids, environment),
        "networks": clean_networks,
        "expires_at": lambda timestamp: clean_expiry(timestamp, now),
        "tags": clean_tags,
        "owner": partial(clean_text, field="owner", longest=MAX_OWNER_LENGTH),
        "note": partial(clean_text, field="note", longest=MAX_NOTE_LENGTH),
        **{window.field: partial(clean_limit, window) for window in WINDOWS},
    }
    return {field: cleaners[field](value) for field, value in settings.items()}


def clean_name(name: str) -> str:
    """Return the name without surrounding blanks; one line of 1 to 100 characters."""
    name = clean_text(name, field="name", longest=MAX_NAME_LENGTH)
    if not name:
        raise Refused("The name is blank. Say what the key is for.", field="name")
    return name


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return each tag once, sorted."""
    cleaned = set(tags)
    for tag in sorted(cleaned):
        if not TAG.fullmatch(tag):
            raise Refused(
                f"{tag!r} is not a tag. Write it as billing or team:web, in up to"
                f" {MAX_TAG_LENGTH} of a-z, 0-9, ., _, :, / and -.",
                field="tags",
            )
        clean_text(tag, field="tags", longest=MAX_TAG_LENGTH)
    if len(cleaned) > MAX_TAGS:
        raise Refused(f"There are {len(cleaned)} tags. Use {MAX_TAGS} at most.", field="tags")
    return tuple(sorted(cleaned))


def clean_networks(networks: Iterable[str]) -> tuple[str, ...]:
    cleaned: dict[str, None] = {}
    for network in networks:
        try:
            cleaned[str(client_address.parse_network(network))] = None
        except ValueError:
            raise Refused(
                f"{network} is not a network. Write it as 203.0.113.0/24 or 2001:db8::/32,"
                " with no bits set past the prefix.",
                field="networks",
            ) from None
    if len(cleaned) > MAX_NETWORKS:
        raise Refused(
            f"There are {len(cleaned)} networks. Use {MAX_NETWORKS} at most.", field="networks"
        )
    return tuple(cleaned)


def clean_customers(ids: Iterable[UUID] | None, environment: str) -> tuple[UUID, ...] | None:
    """Return the ids, sorted; every one must be a customer of ``environment``."""
    if ids is None:
        return None
    requested = set(ids)
    customers = customer_model()._default_manager
    existing = set(
        customers.filter(pk__in=requested, environment=environment).values_list("pk", flat=True)
    )
    if missing := requested - existing:
        raise Refused(
            f"There is no {environment} customer {min(missing)}."
            " Choose customers of the key's own environment.",
            field="customers",
        )
    return tuple(sorted(existing))


def clean_expiry(timestamp: datetime | None, now: datetime) -> datetime | None:
    if timestamp is None:
        return None
    if timezone.is_naive(timestamp):
        raise Refused(
            "The expiry has no time zone. End it with Z or an offset.", field="expires_at"
        )
    try:
        timestamp = timestamp.astimezone(UTC)
    except OverflowError:
        raise Refused(
            "The expiry is beyond the calendar. Choose an earlier one.", field="expires_at"
        ) from None
    if timestamp <= now:
        raise Refused(
            "The expiry has passed. Choose a later one, or revoke the key to stop it now.",
            field="expires_at",
        )
    return timestamp


def clean_limit(window: LimitWindow, limit: int | None) -> int | None:
    if limit is not None and not 0 <= limit <= MAX_LIMIT:
        raise Refused(
            f"The limit per {window.name} is {limit}. Use 0 to {MAX_LIMIT:,},"
            " or none for the default.",
            field=window.field,
        )
    return limit


def refuse_widening(key: ApiKey, changes: dict[str, Any]) -> None:
    """Raise ``Refused`` if ``changes`` would let ``key`` do anything it cannot do now.

    Only permissions and limits can be judged so; any other setting is refused.
    """
    for field, value in changes.items():
        if field == "permissions":
            is_more = not set(value) <= set(key.permissions)
        elif field in LIMIT_FIELDS:
            held_to = key.limits[LIMIT_FIELDS.index(field)]
            is_more = is_wider(value, own=getattr(key, field), held_to=held_to)
        else:
            is_more = True
        if is_more:
            raise Refused(
                "You may remove permissions and lower limits, not add or raise them."
                " Ask a key administrator for this change.",
                field=field,
            )


def require_proof(environment: str, actor: Actor) -> None:
    """Raise ``ProofRequired`` if ``actor`` may not widen anything in production at present."""
    if environment == Environment.PRODUCTION and not actor.is_proved:
        raise ProofRequired(
            "This lets a production key do more, and you proved who you are too long ago."
            " Confirm that it is you, and send it again."
        )


def settings_of(key: ApiKey) -> KeyFields:
    """Return what was chosen for ``key``, for another to be made like it."""
    settings = {name: getattr(key, name) for name in (*PLAIN_FIELDS, "expires_at", *LIMIT_FIELDS)}
    return cast(KeyFields, settings | {"customers": scope_of(key)})


def scope_of(key: ApiKey) -> tuple[UUID, ...] | None:
    """Return the ids of the customers ``key`` reaches, sorted; None for all."""
    if not key.is_scoped:
        return None
    ids = KeyCustomer.objects.filter(key=key).values_list("customer_id", flat=True)
    return tuple(sorted(ids))
