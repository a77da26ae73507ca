"""The settings of a key and whether it is good: created, changed, revoked, activated."""

from collections.abc import Iterable
from typing import Any, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apikeys import credentials, validation
from apikeys.audited import Action, readable
from apikeys.environments import Environment
from apikeys.lifecycle.issuing import IssuedKey, issue, locked, refuse_stale, touch, withdrawal
from apikeys.models import ApiKey, CustomerScope, KeyCustomer, Status
from apikeys.models.rights import excess, rights_of
from apikeys.texts import clean_text
from apikeys.validation import KeyFields
from audit.actors import Actor
from audit.models import Event
from audit.trail import record
from database.refusals import Conflict


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
    with transaction.atomic():
        key = _create(environment, actor, key_id, settings)
        return issue(key, number=1)


def create_awaiting(
    *,
    environment: Environment,
    actor: Actor,
    key_id: str | None = None,
    **settings: Unpack[KeyFields],
) -> ApiKey:
    """Create a key without a secret, as ``create`` does; who it is for has the secret made."""
    return _create(environment, actor, key_id, settings, is_awaiting=True)


def update(
    key: ApiKey,
    *,
    actor: Actor,
    revision: int | None = None,
    reason: str = "",
    **settings: Unpack[KeyFields],
) -> Event | None:
    """Change settings; the environment is none. Return the event, or None if nothing differs.

    With ``revision``, refuse if the key changed since the actor read it.
    """
    return _update(key.pk, actor, revision, settings, reason, may_widen=True)


def narrow(
    key: ApiKey,
    *,
    actor: Actor,
    revision: int | None = None,
    reason: str = "",
    **settings: Unpack[KeyFields],
) -> Event | None:
    """Change settings as ``update`` does, but only so that the key can do less."""
    return _update(key.pk, actor, revision, settings, reason, may_widen=False)


def revoke(
    key: ApiKey, *, actor: Actor, reason: str = "", revision: int | None = None
) -> Event | None:
    """Withdraw the key and its hand-over; None if it was withdrawn already.

    With ``revision``, refuse if the key changed since the actor read it.
    """
    reason = clean_text(reason, field="reason", longest=validation.MAX_REASON_LENGTH)
    with transaction.atomic():
        key = locked(key.pk)
        if key.is_revoked:
            return None
        refuse_stale(key, revision)
        before = Status.AWAITING if key.is_awaiting else Status.ACTIVE
        changes = {"status": [before.value, "inactive"]} | withdrawal(key)
        key.revoked_at = timezone.now()
        key.hand_over_id = None
        touch(key, "revoked_at", "hand_over_id")
        return record(key, Action.REVOKED, actor, changes, reason)


def activate(key: ApiKey, *, actor: Actor, revision: int | None = None) -> Event | None:
    """Undo a revoke; None if the key is not revoked.

    With ``revision``, refuse if the key changed since: a page opened before a second revoke
    must not undo it.
    """
    with transaction.atomic():
        key = locked(key.pk)
        if not key.is_revoked:
            return None
        refuse_stale(key, revision)
        validation.require_proof(key.environment, actor)
        key.revoked_at = None
        touch(key, "revoked_at")
        return record(key, Action.ACTIVATED, actor, {"status": ["inactive", key.status.value]})


def forget_customer(customer_id: UUID, *, actor: Actor) -> None:
    """Take a customer that is about to be deleted out of each key's reach, on record."""
    scopes = KeyCustomer.objects.filter(customer_id=customer_id).order_by("key_id")
    with transaction.atomic():
        for key_id in list(scopes.values_list("key_id", flat=True)):
            rest = [
                found for found in validation.scope_of(locked(key_id)) or () if found != customer_id
            ]
            _update(key_id, actor, None, {"customers": rest}, may_widen=True)


def _create(
    environment: Environment,
    actor: Actor,
    key_id: str | None,
    settings: KeyFields,
    *,
    is_awaiting: bool = False,
) -> ApiKey:
    now = timezone.now()
    settings.setdefault("name", "")
    key = ApiKey(
        id=key_id or credentials.new_key_id(),
        environment=environment,
        is_awaiting=is_awaiting,
        created_at=now,
        created_by=actor.user,
    )
    try:
        with transaction.atomic():
            chosen = validation.clean(settings, environment=environment, now=now)
            validation.require_proof(environment, actor)
            scope = chosen.pop("customers", None)
            if scope is not None:
                key.customer_scope = CustomerScope.SELECTED
            for name, value in chosen.items():
                setattr(key, name, value)
            key.save(force_insert=True)
            _replace_scope(key, scope)
            settled = readable(key, scope).items()
            record(key, Action.CREATED, actor, {name: [None, value] for name, value in settled})
    except IntegrityError:
        if ApiKey.objects.filter(pk=key.pk).exists():
            raise Conflict(
                "This key has been created already and its secret was shown then."
                " Regenerate it if the secret was not copied."
            ) from None
        raise
    return key


def _update(
    key_id: str,
    actor: Actor,
    revision: int | None,
    settings: KeyFields,
    reason: str = "",
    *,
    may_widen: bool,
) -> Event | None:
    now = timezone.now()
    reason = clean_text(reason, field="reason", longest=validation.MAX_REASON_LENGTH)
    with transaction.atomic():
        key = locked(key_id)
        refuse_stale(key, revision)
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
        own = rights_of(key)
        if excess(own, own.changed(changes)):
            validation.require_proof(key.environment, actor)
        before = readable(key, scope)
        if "customers" in changes:
            scope = changes.pop("customers")
            changes["customer_scope"] = (
                CustomerScope.ALL if scope is None else CustomerScope.SELECTED
            )
            _replace_scope(key, scope)
        for name, value in changes.items():
            setattr(key, name, value)
        touch(key, *changes)
        after = readable(key, scope)
        pairs = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        return record(key, Action.UPDATED, actor, pairs, reason)


def _changes(key: ApiKey, chosen: dict[str, Any], scope: Iterable[UUID] | None) -> dict[str, Any]:
    """Return what of ``chosen`` differs from ``key`` and its ``scope`` as they are."""
    return {
        name: value
        for name, value in chosen.items()
        if value != (scope if name == "customers" else getattr(key, name))
    }


def _replace_scope(key: ApiKey, scope: Any) -> None:
    KeyCustomer.objects.filter(key=key).delete()
    KeyCustomer.objects.bulk_create(
        KeyCustomer(key=key, customer_id=customer, environment=key.environment)
        for customer in scope or ()
    )
