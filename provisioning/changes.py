"""Every change that a key makes to another: judged and written while both rows are locked.

The guard has admitted the calling key before, without a lock. Here its row is locked with the
other key's and everything is judged again, so that a managing key that is revoked, narrowed or
given another secret meanwhile has either done its change before or does not do it at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.http import Http404

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.guard import authentication
from apikeys.guard.authentication import challenge
from apikeys.guard.context import RequestContext
from apikeys.guard.permissions import denial
from apikeys.guard.problems import Problem
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey, CustomerScope
from apikeys.models.rights import (
    ALL_CUSTOMERS,
    Excess,
    Rights,
    excess,
    excess_to_touch,
    new_rights,
    rights_of,
)
from apikeys.permissions import Permission
from apikeys.serializers import with_scope
from apikeys.validation import KeyFields
from audit.actors import Actor
from handover import lifecycle as hand_overs
from handover.lifecycle import Offer, Terms

# Called with the locked row; raises if it is not what the caller expects.
Condition = Callable[[ApiKey], None]


@dataclass(frozen=True, slots=True)
class Caller:
    """The calling key as the guard admitted it, and from where."""

    key_id: str
    environment: str
    address: str
    context: RequestContext
    actor: Actor


@dataclass(frozen=True, slots=True)
class Given:
    """A key, and what its caller is given once: the credential, or the link of a hand-over."""

    key: ApiKey
    credential: str | None = field(default=None, repr=False)
    hand_over_url: str | None = field(default=None, repr=False)


def create(caller: Caller, settings: KeyFields, terms: Terms | None = None) -> Given:
    environment = Environment(caller.environment)
    with transaction.atomic():
        manager = _locked(caller)[caller.key_id]
        check_new(manager, settings)
        if terms is None:
            return _given(lifecycle.create(environment=environment, actor=caller.actor, **settings))
        return _given(
            hand_overs.create(terms, environment=environment, actor=caller.actor, **settings)
        )


def update(caller: Caller, key_id: str, settings: KeyFields, *, precondition: Condition) -> ApiKey:
    with transaction.atomic():
        manager, key = _touched(caller, key_id, precondition)
        check_given(manager, rights_of(key).changed(settings))
        lifecycle.update(key, actor=caller.actor, **settings)
        return _written(key.pk)


def regenerate(
    caller: Caller,
    key_id: str,
    *,
    overlap: timedelta,
    precondition: Condition,
    terms: Terms | None = None,
) -> Given:
    with transaction.atomic():
        manager, key = _touched(caller, key_id, precondition)
        check_given(manager, rights_of(key))
        if terms is None:
            return _given(lifecycle.regenerate(key, actor=caller.actor, overlap=overlap))
        return _given(hand_overs.regenerate(key, terms, actor=caller.actor, overlap=overlap))


def revoke(caller: Caller, key_id: str, *, reason: str, precondition: Condition) -> ApiKey:
    with transaction.atomic():
        _, key = _touched(caller, key_id, precondition)
        lifecycle.revoke(key, actor=caller.actor, reason=reason)
        return _written(key.pk)


def activate(caller: Caller, key_id: str, *, precondition: Condition) -> ApiKey:
    with transaction.atomic():
        manager, key = _touched(caller, key_id, precondition)
        check_given(manager, rights_of(key))
        lifecycle.activate(key, actor=caller.actor)
        return _written(key.pk)


def _given(made: IssuedKey | Offer) -> Given:
    key = _written(made.key.pk)
    if isinstance(made, IssuedKey):
        return Given(key, made.credential)
    return Given(key, hand_over_url=made.url)


def _written(key_id: str) -> ApiKey:
    """Return the key as this transaction wrote it; once committed, others may change it."""
    return with_scope(ApiKey.objects.filter(pk=key_id)).get()


def check_new(manager: ApiKey, settings: KeyFields) -> None:
    """Raise the 403 unless ``manager`` may make a key of ``settings``."""
    check_given(manager, new_rights(manager.environment).changed(settings))


def check_given(manager: ApiKey, rights: Rights) -> None:
    """Raise the 403 unless ``manager`` may give ``rights``: it has them all."""
    found = excess(rights_of(manager), rights)
    if found is not None:
        raise _given_denial(manager.environment, found)


def check_touched(manager: ApiKey, key: ApiKey) -> None:
    """Raise the 403 unless ``manager`` may change ``key`` as it is; it may never change itself."""
    environment = manager.environment
    if manager.pk == key.pk:
        raise _denial(
            environment, "A key cannot change itself. Use another key, the admin or a command."
        )
    found = excess_to_touch(rights_of(manager), rights_of(key))
    if found is None:
        return
    if found.setting == "permissions":
        raise denial(environment, found.missing)
    # Which customers the key reaches is not told: the manager does not reach them.
    raise _denial(
        environment,
        "The key reaches customers that yours does not."
        " Use a key that reaches them, or one for all customers.",
        exceeded="customers",
    )


def _given_denial(environment: str, found: Excess) -> Problem:
    """Return the 403 for what the caller asked for, which may be repeated to it."""
    setting, missing = found
    members = {"exceeded": setting}
    if setting == "permissions":
        return denial(environment, missing)
    if setting == "customers":
        if missing == ALL_CUSTOMERS:
            members["required_customer_scope"] = CustomerScope.ALL.value
        else:
            members["required_customer"] = missing
    return _denial(
        environment,
        f"The key would be more than yours: {setting} {missing}."
        " Choose what your key has itself, or less.",
        **members,
    )


def _denial(environment: str, detail: str, **members: str) -> Problem:
    header = challenge(environment, error="insufficient_scope")
    return Problem("permission_denied", detail, headers={"WWW-Authenticate": header}, **members)


def _touched(caller: Caller, key_id: str, precondition: Condition) -> tuple[ApiKey, ApiKey]:
    """Return the manager and the key, locked, once the manager may touch the key as it is."""
    keys = _locked(caller, key_id)
    manager, key = keys[caller.key_id], keys.get(key_id)
    if key is None:
        raise Http404
    check_touched(manager, key)
    precondition(key)
    return manager, key


def _locked(caller: Caller, *key_ids: str) -> dict[str, ApiKey]:
    """Lock the calling key and others of its environment; raise if it may not call any more.

    In one order for all, or two keys that manage each other would wait for each other.
    """
    rows = ApiKey.objects.select_for_update(no_key=True).filter(
        pk__in={caller.key_id, *key_ids}, environment=caller.environment
    )
    keys = {key.pk: key for key in rows.order_by("pk")}
    manager = keys[caller.key_id]
    authentication.confirm(manager, caller.environment, caller.address, caller.context)
    if not manager.may(Permission.KEYS_MANAGE):
        raise denial(caller.environment, Permission.KEYS_MANAGE)
    return keys
