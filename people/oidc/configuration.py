"""Reads and checks the settings of the OpenID Connect provider."""

from typing import Protocol
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from database.client_address import is_loopback
from people.oidc.mapping import Mapping, parse_roles

# What the table of identities holds.
MAX_ISSUER_LENGTH = 200


class Reader(Protocol):
    """What reads environment variables."""

    def text(self, name: str, default: str, meaning: str) -> str: ...


def read_issuer(variables: Reader, name: str, meaning: str) -> str:
    """Return the issuer's address; its answers decide who comes in, so they come by TLS."""
    issuer = variables.text(name, "", meaning)
    if not issuer:
        return ""
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
        is_plain = parts.scheme == "http" and (host == "localhost" or is_loopback(host))
        is_address = bool(host) and (parts.scheme == "https" or is_plain)
    except ValueError:
        is_address = False
    if not is_address or "@" in parts.netloc or parts.query or parts.fragment:
        # Without its value: that may hold a password.
        raise ImproperlyConfigured(
            f"{name} is no address of a provider."
            " Write it as https://id.example.com, without user name, query or fragment."
        )
    if len(issuer) > MAX_ISSUER_LENGTH:
        raise ImproperlyConfigured(
            f"{name} has {len(issuer)} characters. Use {MAX_ISSUER_LENGTH} at most."
        )
    return issuer


def read_roles(variables: Reader, name: str, meaning: str) -> Mapping:
    text = variables.text(name, "", meaning)
    try:
        return parse_roles(text)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} holds {str(error)!r}. Write it as keys-admins=Key administrator,ops=superuser."
        ) from None


def check_provider(
    issuer: str, client_id: str, client_secret: str, roles: Mapping, *, is_only: bool
) -> None:
    """Raise the first setting that is missing: nobody could sign in."""
    if not issuer:
        if is_only:
            raise ImproperlyConfigured(
                "OIDC_ONLY is on without a provider. Set OIDC_ISSUER, or set OIDC_ONLY to off."
            )
        return
    given = {"OIDC_CLIENT_ID": client_id, "OIDC_CLIENT_SECRET": client_secret, "OIDC_ROLES": roles}
    for name, value in given.items():
        if not value:
            raise ImproperlyConfigured(
                f"{name} is not set, and OIDC_ISSUER is. Set both, or leave both out."
            )
