"""The people's door: a login that counts wrong guesses, per address and per user name."""

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited
from unfold.forms import AuthenticationForm

from apikeys.addresses import client_address

# Generous for a person who mistypes, hopeless for a machine that guesses.
TOO_MANY = "too_many"
RETRY_AFTER_SECONDS = 300
RATES = {"address": "20/5m", "name": "10/5m"}


class GuardedAuthenticationForm(AuthenticationForm):
    """Refuses to try a password once an address, or a name, was wrong too often."""

    def clean(self) -> dict[str, Any]:
        """Check the budget, then the password; a wrong one uses up some of the budget."""
        if self._is_spent(counts=False):
            raise self._refusal()
        try:
            cleaned: dict[str, Any] = super().clean()
        except forms.ValidationError:
            # Counted by one atomic increment each, so guesses sent at once all count.
            if self._is_spent(counts=True):
                raise self._refusal() from None
            raise
        return cleaned

    def _is_spent(self, *, counts: bool) -> bool:
        request = self.request
        name = str(self.cleaned_data.get("username", "")).casefold()
        return any(
            [
                is_ratelimited(
                    request,
                    group="login-address",
                    key="ip",
                    rate=RATES["address"],
                    increment=counts,
                ),
                is_ratelimited(
                    request,
                    group="login-name",
                    key=lambda group, request: name,
                    rate=RATES["name"],
                    increment=counts,
                ),
            ]
        )

    @staticmethod
    def _refusal() -> forms.ValidationError:
        return forms.ValidationError(
            "There were too many wrong logins from this address or for this user name."
            " Wait five minutes and try again.",
            code=TOO_MANY,
        )


def caller(request: HttpRequest) -> str:
    """Return the client address that django-ratelimit counts by."""
    return client_address(request.META, settings.TRUSTED_PROXIES)
