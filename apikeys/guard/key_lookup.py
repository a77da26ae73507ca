"""The one query of a guarded request: a key and the secrets it may be called with, by key id.

A queryset is compiled to SQL once per process and then only run; it reads what the guard
judges by and leaves the rest of the row deferred. That is at most a fifth of the cost of an ORM
``get`` (``docs/decisions.md`` has the figures).
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.functions import Now

from apikeys.guard.statements import Statement
from apikeys.limits import LIMIT_FIELDS
from apikeys.models import ApiKey, SecretVersion
from apikeys.peppers import Peppers

Columns = QuerySet[Any, Any]

KEY_ID_MARK = "<key id>"
KEY_FIELDS = (
    "id",
    "environment",
    "permissions",
    "customer_scope",
    *LIMIT_FIELDS,
    "networks",
    "expires_at",
    "revoked_at",
)
# What ``apikeys.serializers.KeySerializer`` reads of a row.
SHOWN_FIELDS = (*KEY_FIELDS, "is_awaiting", "name", "last_used_at", "created_at")


class StoredSecret(NamedTuple):
    """A secret of a key: what a credential is compared with, and until when."""

    id: int
    digest: str
    pepper: int
    number: int
    retires_at: datetime | None


class Found(NamedTuple):
    """A key, the secrets it may be called with, and the time that both are judged at."""

    key: ApiKey | None
    stored_secrets: list[StoredSecret]
    now: datetime


def _clock() -> list[Any]:
    """Return the column that tells the time: one clock where there may be several hosts."""
    return [Now()] if connection.vendor == "postgresql" else []


def parts(fields: tuple[str, ...] = KEY_FIELDS) -> tuple[Columns, Columns]:
    """Return what reads a key's secrets and the key itself, both by ``KEY_ID_MARK``."""
    # A secret without a digest opens nothing; ``lifecycle`` clears those that have retired.
    secrets = SecretVersion.objects.filter(key_id=KEY_ID_MARK).exclude(digest="").order_by()
    keys = ApiKey.objects.filter(id=KEY_ID_MARK).order_by()
    return secrets.values_list(*StoredSecret._fields), keys.values_list(*fields, *_clock())


@cache
def _statement(fields: tuple[str, ...]) -> Statement:
    return Statement(*parts(fields), marks=(KEY_ID_MARK,))


def find(key_id: str, fields: tuple[str, ...] = KEY_FIELDS) -> Found:
    """Return the key and its secrets; None and none for an unknown key id."""
    return found(_statement(fields).rows(key_id), fields)


def found(
    rows: list[tuple[Any, ...]], fields: tuple[str, ...] = KEY_FIELDS, start: int = 0
) -> Found:
    """Read the columns of ``parts``, which are the last of ``rows``, from ``start``.

    Those of a secret are NULL where there is none.
    """
    if not rows or rows[0][start] is None:
        return Found(None, [], datetime.now(UTC))
    split = start + len(StoredSecret._fields)
    end = split + len(fields)
    first = rows[0]
    now = first[end] if len(first) > end else datetime.now(UTC)
    secrets = [StoredSecret(*row[start:split]) for row in rows]
    return Found(_key(fields, first[split:end]), secrets, now)


def _key(fields: tuple[str, ...], values: tuple[Any, ...]) -> ApiKey:
    """Return what ``Model.from_db`` would, without its signals and its checks of each field."""
    key = ApiKey.__new__(ApiKey)
    key._state = ModelState()
    key._state.adding = False
    key._state.db = DEFAULT_DB_ALIAS
    key.__dict__.update(zip(fields, values, strict=True))
    return key


def upgrade_digest(accepted: StoredSecret, key: ApiKey, secret: str, peppers: Peppers) -> None:
    """Store the digest of a secret that just matched under the newest pepper.

    Conditional on the digest it matched, so that it cannot bring back one replaced meanwhile.
    The request does not depend on it: a failure leaves it to the key's next use.
    """
    digest = peppers.sign(peppers.newest, environment=key.environment, key_id=key.pk, secret=secret)
    try:
        with transaction.atomic():
            SecretVersion.objects.filter(pk=accepted.id, digest=accepted.digest).update(
                digest=digest, pepper=peppers.newest
            )
    except DatabaseError:
        return
