"""Makes what a test starts from; whatever a test depends on it names."""

import itertools
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from apikeys import lifecycle
from apikeys.audit import Actor
from apikeys.environments import Environment
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey, Door
from customers.models import Customer

ACTOR = Actor(door=Door.COMMAND, name="a test")
PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


def issue(
    *,
    environment: Environment = Environment.PRODUCTION,
    permissions: Iterable[str] = (),
    **settings: Any,
) -> IssuedKey:
    """Make a key; return it with its credential."""
    settings.setdefault("name", f"Key {next(_numbers)}")
    return lifecycle.create(
        environment=environment, actor=ACTOR, permissions=permissions, **settings
    )


def make_customer(
    *, environment: Environment = Environment.PRODUCTION, name: str = "", **fields: Any
) -> Customer:
    """Make a customer."""
    return Customer.objects.create(
        environment=environment, name=name or f"Customer {next(_numbers)}", **fields
    )


def make_staff(role: str | None = None, *, is_superuser: bool = False) -> User:
    """Make a member of staff who may log in with ``PASSWORD``."""
    user = User.objects.create_user(f"staff{next(_numbers)}", password=PASSWORD, is_staff=True)
    user.is_superuser = is_superuser
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def expire(key: ApiKey, *, ago: timedelta = timedelta(0)) -> None:
    """Move a key's expiry to now or before, which no door allows."""
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - ago)
