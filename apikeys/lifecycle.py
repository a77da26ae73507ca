"""Every change to a key, from whichever source.

Each function locks the key's row, checks, writes and records its audit event in one transaction.
The guard reads the row on every request, so a change takes effect with the next request.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Unpack
from uuid import UUID

from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apikeys import audit, credentials, validation
from apikeys.audit import Actor
from apikeys.environments import Environment
from apikeys.models import Action, ApiKey, CustomerScope, Event, KeyCustomer, SecretVersion
from apikeys.peppers import Peppers
from apikeys.validation import KeyFields
from database.refusals import Conflict, Refused

MAX_ACCEPTED_SECRETS = 5
MAX_OVERLAP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and the only copy there will ever be of its whole credential."""

    key: ApiKey
    credential: str = field(repr=False)


@sensitive_variables("secret")
def create(
    *,
    environment: Environment,
    actor: Actor,
    key_id: str | None = None,
    **settings: Unpack[KeyFields],
) -> IssuedKey:
    """Create a key and its first secret.

    A caller that may repeat a request (a form sent again) chooses ``key_id`` beforehand; the
    second request raises ``Conflict`` and creates nothing.
    """
    now = timezone.now()
    settings.setdefault("name", "")
    key = ApiKey(
        id=key_id or credentials.new_key_id(),
        environment=environment,
        created_at=now,
        created_by=actor.user,
    )
    try:
        with transaction.atomic():
            chosen = validation.clean(settings, environment=environment, now=now)
            scope = chosen.pop("customers", None)
            if scope is not None:
                key.customer_scope = CustomerScope.SELECTED
            for name, value in chosen.items():
                setattr(key, name, value)
            key.save(force_insert=True)
            _replace_scope(key, scope)
            secret = _issue_secret(key, number=1, now=now)
            settled = audit.readable(key, scope).items()
            audit.record(
                key, Action.CREATED, actor, {name: [None, value] for name, value in settled}
            )
    except IntegrityError:
        if ApiKey.objects.filter(pk=key.pk).exists():
            raise Conflict(
                "This key has been created already and its secret was shown then."
                " Regenerate it if the secret was not copied."
            ) from None
        raise
    return IssuedKey(key, _compose(key, secret))


def update(
    key: ApiKey, *, actor: Actor, revision: int | None = None, **settings: Unpack[KeyFields]
) -> Event | None:
    """Change settings; the environment is none. Return the event, or None if nothing differs.

    With ``revision``, refuse if the key changed since the actor read it.
    """
    return _update(key.pk, actor, revision, settings, may_widen=True)


def narrow(
    key: ApiKey, *, actor: Actor, revision: int | None = None, **settings: Unpack[KeyFields]
) -> Event | None:
    """Change settings as ``update`` does, but only so that the key can do less."""
    return _update(key.pk, actor, revision, settings, may_widen=False)


@sensitive_variables("secret")
def regenerate(
    key: ApiKey, *, actor: Actor, overlap: timedelta = timedelta(0), version: int | None = None
) -> IssuedKey:
    """Give the key a new secret; the old one stops now, or after ``overlap`` (up to 7 days).

    With ``version``, refuse unless that is still the current secret's number, so that a form
    sent twice cannot replace the secret that the first has just shown.
    """
    now = timezone.now()
    with transaction.atomic():
        key = _locked(key.pk)
        _refuse_overlap(key, overlap)
        current = key.secrets.get(retires_at=None)
        if version is not None and version != current.number:
            raise Conflict(
                "This key was regenerated a moment ago and the new secret was shown then."
                " Reload the page and regenerate again if nobody copied it."
            )
        _retire_secrets(key, now=now, overlap=overlap)
        secret = _issue_secret(key, number=current.number + 1, now=now)
        _touch(key)
        stops = (now + overlap).isoformat() if overlap else "at once"
        audit.record(
            key,
            Action.REGENERATED,
            actor,
            {
                "secret version": [current.number, current.number + 1],
                "old secret stops": [None, stops],
            },
        )
    return IssuedKey(key, _compose(key, secret))


def revoke(key: ApiKey, *, actor: Actor, reason: str = "") -> Event | None:
    """Withdraw the key; None if it was withdrawn already."""
    reason = audit.clean_text(reason, field="reason", longest=validation.MAX_REASON_LENGTH)
    with transaction.atomic():
        key = _locked(key.pk)
        if key.is_revoked:
            return None
        key.revoked_at = timezone.now()
        _touch(key, "revoked_at")
        return audit.record(key, Action.REVOKED, actor, {"status": ["active", "inactive"]}, reason)


def activate(key: ApiKey, *, actor: Actor, revision: int | None = None) -> Event | None:
    """Undo a revoke; None if the key is not revoked.

    With ``revision``, refuse if the key changed since: a page opened before a second revoke
    must not undo it.
    """
    with transaction.atomic():
        key = _locked(key.pk)
        if not key.is_revoked:
            return None
        _refuse_stale(key, revision)
        key.revoked_at = None
        _touch(key, "revoked_at")
        return audit.record(
            key, Action.ACTIVATED, actor, {"status": ["inactive", key.status.value]}
        )


def forget_customer(customer_id: UUID, *, actor: Actor) -> None:
    """Take a customer that is about to be deleted out of each key's reach, on record."""
    scopes = KeyCustomer.objects.filter(customer_id=customer_id).order_by("key_id")
    with transaction.atomic():
        for key_id in list(scopes.values_list("key_id", flat=True)):
            rest = [
                found
                for found in validation.scope_of(_locked(key_id)) or ()
                if found != customer_id
            ]
            _update(key_id, actor, None, {"customers": rest}, may_widen=True)


def _update(
    key_id: str, actor: Actor, revision: int | None, settings: KeyFields, *, may_widen: bool
) -> Event | None:
    now = timezone.now()
    with transaction.atomic():
        key = _locked(key_id)
        _refuse_stale(key, revision)
        # An expiry that stays as it is may have passed; only a new one must lie ahead.
        if "expires_at" in settings and settings["expires_at"] == key.expires_at:
            del settings["expires_at"]
        chosen = validation.clean(settings, environment=key.environment, now=now)
        scope = validation.scope_of(key)
        changes = _changes(key, chosen, scope)
        if not may_widen:
            validation.refuse_widening(key, changes)
        if not changes:
            return None
        before = audit.readable(key, scope)
        if "customers" in changes:
            scope = changes.pop("customers")
            changes["customer_scope"] = (
                CustomerScope.ALL if scope is None else CustomerScope.SELECTED
            )
            _replace_scope(key, scope)
        for name, value in changes.items():
            setattr(key, name, value)
        _touch(key, *changes)
        after = audit.readable(key, scope)
        pairs = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        return audit.record(key, Action.UPDATED, actor, pairs)


def _changes(key: ApiKey, chosen: dict[str, Any], scope: Iterable[UUID] | None) -> dict[str, Any]:
    """Return what of ``chosen`` differs from ``key`` and its ``scope`` as they are."""
    return {
        name: value
        for name, value in chosen.items()
        if value != (scope if name == "customers" else getattr(key, name))
    }


def _locked(key_id: str) -> ApiKey:
    # Locked before it is read, or two actions would start from the same state. On SQLite
    # the transaction itself is the lock (BEGIN IMMEDIATE).
    return ApiKey.objects.select_for_update().get(pk=key_id)


def _refuse_stale(key: ApiKey, revision: int | None) -> None:
    if revision is not None and revision != key.revision:
        last = key.events.first()
        who = f" by {last.actor_name}" if last else ""
        raise Conflict(
            f"The key was changed{who} after this page was opened. Reload it and try again."
        )


def _refuse_overlap(key: ApiKey, overlap: timedelta) -> None:
    """Raise ``Refused`` unless the old secret may go on for ``overlap``."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Refused(
            f"The overlap is out of range. Choose 0 to {MAX_OVERLAP.days} days.", field="overlap"
        )
    if overlap and key.is_revoked:
        raise Refused(
            "The key is revoked, so its old secret must not live on. Regenerate without overlap.",
            field="overlap",
        )


def _touch(key: ApiKey, *changed: str) -> None:
    key.revision += 1
    key.save(update_fields=["revision", *changed])


def _issue_secret(key: ApiKey, *, number: int, now: datetime) -> str:
    secret = credentials.new_secret()
    peppers: Peppers = django_settings.API_KEY_PEPPERS
    SecretVersion.objects.create(
        key=key,
        number=number,
        pepper=peppers.newest,
        digest=peppers.sign(
            peppers.newest, environment=key.environment, key_id=key.pk, secret=secret
        ),
        created_at=now,
    )
    return secret


def _retire_secrets(key: ApiKey, *, now: datetime, overlap: timedelta) -> None:
    # Without its digest a secret opens nothing, whatever the clock of another host says.
    key.secrets.filter(retires_at__lte=now).update(digest="")
    if not overlap:
        key.secrets.accepted(now).update(retires_at=now, digest="")
        return
    if key.secrets.accepted(now).count() >= MAX_ACCEPTED_SECRETS:
        raise Refused(
            f"{MAX_ACCEPTED_SECRETS} secrets of this key are still accepted. Wait until an"
            " overlap ends, or regenerate without one to stop them all.",
            field="overlap",
        )
    key.secrets.filter(retires_at=None).update(retires_at=now + overlap)


def _replace_scope(key: ApiKey, scope: Any) -> None:
    KeyCustomer.objects.filter(key=key).delete()
    KeyCustomer.objects.bulk_create(
        KeyCustomer(key=key, customer_id=customer, environment=key.environment)
        for customer in scope or ()
    )


def _compose(key: ApiKey, secret: str) -> str:
    return credentials.compose(
        django_settings.API_KEY_PREFIX, Environment(key.environment), key.pk, secret
    )
