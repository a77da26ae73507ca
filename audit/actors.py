"""Who acts, and through which source: what every change is recorded with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.http import HttpRequest

from backoffice import proofs
from database.client_address import client_address


class Source(models.TextChoices):
    """The source of an action."""

    ADMIN = "admin", "Admin"
    COMMAND = "command", "Command"
    API = "api", "API"
    SYSTEM = "system", "System"
    LINK = "link", "Hand-over link"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, through which source and from which address."""

    source: Source
    name: str
    user: User | None = None
    address: str | None = None
    # When, if not now: of data that is loaded with its history.
    at: datetime | None = None
    # Whether who acts has proved lately who they are; asked of people at pages alone.
    is_proved: bool = True

    def columns(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "actor_name": self.name,
            "actor": self.user,
            "address": self.address,
        }


def actor_of(request: HttpRequest) -> Actor:
    user = request.user
    return Actor(
        source=Source.ADMIN,
        name=user.get_username(),
        user=user if isinstance(user, User) else None,
        address=client_address(request.META, settings.TRUSTED_PROXIES),
        is_proved=proofs.is_fresh(request),
    )
