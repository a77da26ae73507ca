"""Who acts in the admin."""

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest

from apikeys.audit import Actor
from apikeys.guard.client_address import client_address
from apikeys.models import Source


def actor_of(request: HttpRequest) -> Actor:
    """Return the member of staff behind ``request`` and where it comes from."""
    user = request.user
    return Actor(
        source=Source.ADMIN,
        name=user.get_username(),
        user=user if isinstance(user, User) else None,
        address=client_address(request.META, settings.TRUSTED_PROXIES),
    )
