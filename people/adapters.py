"""What django-allauth asks of the product: addresses, connections, and how secrets are kept."""

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal.deferred import cryptography
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from people.guesses import caller


class Undecipherable(Exception):
    """A secret that was encrypted under another ``SECRET_KEY``."""


class AccountAdapter(DefaultAccountAdapter):
    """Knows where a request comes from."""

    def get_client_ip(self, request: HttpRequest) -> str:
        return caller(request)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


class ProviderAdapter(DefaultSocialAccountAdapter):
    """Follows no redirect of the provider: its addresses are those that it published."""

    def get_requests_session(self) -> Any:
        session = super().get_requests_session()
        session.max_redirects = 0
        return session

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False


class FactorAdapter(DefaultMFAAdapter):
    """Encrypts what second factors are verified with, under a key made of ``SECRET_KEY``."""

    def encrypt(self, text: str) -> str:
        return str(_cipher().encrypt(text.encode()).decode())

    def decrypt(self, encrypted_text: str, max_age: int | None = None) -> str:
        try:
            return str(_cipher().decrypt(encrypted_text.encode(), ttl=max_age).decode())
        except cryptography.fernet.InvalidToken:
            # Nothing blank instead: whoever knows the key that a code is made of, makes codes.
            raise Undecipherable(
                "Codes cannot be verified, as SECRET_KEY was changed since they were set up."
                " Ask an operator to run reset_second_factor."
            ) from None

    def get_totp_issuer(self) -> str:
        return "Latchkey"


def _cipher() -> Any:
    digest = salted_hmac("people.factors", "", secret=settings.SECRET_KEY, algorithm="sha256")
    return cryptography.fernet.Fernet(base64.urlsafe_b64encode(digest.digest()))
