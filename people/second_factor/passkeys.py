"""Passkeys (WebAuthn), verified by allauth.mfa with fido2.

Imported only where somebody has one or adds one: its library takes 12 MB.
"""

import json
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from django.contrib.auth.models import User
from django.forms import ValidationError
from django.utils import timezone

MAX_CREDENTIAL_LENGTH = 20_000
MAX_NAME_LENGTH = 60


def options_to_add(account: User) -> dict[str, Any]:
    """Return what the browser is given to make a passkey; the challenge stays in the session."""
    return auth.begin_registration(account, passwordless=False)  # type: ignore[no-any-return]


def options_to_prove(account: User) -> dict[str, Any]:
    return auth.begin_authentication(account)  # type: ignore[no-any-return]


def made(account: User, name: str, answer: str) -> Authenticator:
    """Return the passkey that the browser has made, not stored yet."""
    credential = _read(answer)
    try:
        auth.parse_registration_response(credential)
        auth.complete_registration(credential)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _refused() from None
    name = " ".join(name.split())[:MAX_NAME_LENGTH]
    data = {"name": name or "Passkey", "credential": credential}
    return Authenticator(user=account, type=Authenticator.Type.WEBAUTHN, data=data)


def prove(account: User, answer: str) -> None:
    """Verify what a passkey of the account has signed; raise ``ValidationError`` if not."""
    credential = _read(answer)
    try:
        auth.parse_authentication_response(credential)
        factor = auth.complete_authentication(account, credential)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _refused() from None
    Authenticator.objects.filter(pk=factor.pk).update(last_used_at=timezone.now())


def _read(answer: str) -> dict[str, Any]:
    try:
        credential = json.loads(answer) if len(answer) <= MAX_CREDENTIAL_LENGTH else None
    except ValueError:
        credential = None
    if not isinstance(credential, dict):
        raise _refused()
    return credential


def _refused() -> ValidationError:
    return ValidationError("The passkey was not accepted. Try it again, or use another factor.")
