"""The two addresses of a sign-in through the provider: where it begins, and where it comes back."""

import time
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from database.client_address import budget_subject
from people import sign_in
from people.audited import StaffAction
from people.confirmation import confirm, must_be_factor
from people.guesses import TOO_MANY, GuessGuard, caller
from people.oidc import accounts, provider
from people.oidc.provider import ProviderDown, SignInRefused

# How long ago the provider may have had somebody sign in for a proof.
PROOF_SECONDS = 300


@never_cache
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider, by POST alone: another site must sign nobody in.

    Not by a redirect: the policy of our pages lets no form lead elsewhere.
    """
    if not settings.OIDC_ISSUER:
        return _refused(request, "There is no provider to sign in with. Use the password.")
    arrival = _Arrival(request)
    try:
        arrival.admit()
        is_proof = request.user.is_authenticated and request.POST.get("is_proof") == "1"
        address = provider.begin(request, sign_in.safe_next(request), is_proof=is_proof)
    except ProviderDown:
        return _down(request)
    except ValidationError as error:
        return _limited(request, error, arrival.retry_after)
    context = {"address": address, "title": "Sign in", "provider": sign_in.provider_name()}
    page = TemplateResponse(
        request, "people/to_provider.html", admin.site.each_context(request) | context
    )
    page["Refresh"] = f"0; url={address}"
    # Of this site's addresses nothing is told.
    page["Referrer-Policy"] = "no-referrer"
    return page


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Sign in whom the provider sent back, or say why not."""
    if not settings.OIDC_ISSUER:
        return _refused(request, "There is no provider to sign in with. Use the password.")
    arrival = _Arrival(request)
    try:
        account = arrival.account()
    except ProviderDown:
        return _down(request)
    except SignInRefused as error:
        return _refused(request, str(error))
    except ValidationError as error:
        return _limited(request, error, arrival.retry_after)
    if arrival.is_proof:
        confirm(request, account, sign_in.provider_name(), is_factor=False)
        return redirect(arrival.next_url)
    how = f"Through {sign_in.provider_name()}."
    return sign_in.proceed(request, account, how=how, next_url=arrival.next_url)


class _Arrival(GuessGuard):
    """Somebody whom the provider sent back; what is refused counts as a wrong password does."""

    refused = StaffAction.SIGN_IN_REFUSED

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.next_url, self.is_proof = "", False

    @property
    def _name(self) -> str:
        """What is counted in place of a user name, which no account's can be: it has a blank."""
        return f"provider {budget_subject(caller(self.request))}"

    def admit(self) -> None:
        """Count somebody who is sent to the provider: it is asked for its addresses each time."""
        tries = self._budgets(self._name).tries
        self._refuse_if(self._count(tries)["should_limit"], tries)

    def account(self) -> User:
        # Not counted, nor recorded: a picture on any page sends a browser here with a made-up
        # state, and would close the sign-in for its whole network.
        state = provider.state_of(self.request)
        self.next_url, self.is_proof = state["next"], state["is_proof"]
        # No account is known yet, so failures count by network alone.
        name = self._name
        causes: list[str] = []
        try:
            account: User = self._verify_within_budgets(name, lambda: self._account(state, causes))
        except ValidationError as error:
            is_locked_out = error.code == TOO_MANY
            self._record_failure(None, name, is_locked_out=is_locked_out, reason="".join(causes))
            raise
        return account

    @sensitive_variables("claims")
    def _account(self, state: dict[str, Any], causes: list[str]) -> User:
        try:
            claims = provider.claims(self.request, state)
            account = accounts.account_of(claims, caller(self.request))
            if self.is_proof:
                self._refuse_poor_proof(account, claims.proved_at)
            return account
        except SignInRefused as refused:
            causes.append(refused.cause)
            raise ValidationError(str(refused)) from None

    def _refuse_poor_proof(self, account: User, proved_at: float) -> None:
        """Refuse a proof of somebody else, an old one, and one where a factor is asked for."""
        if account != self.request.user or time.time() - proved_at > PROOF_SECONDS:
            raise SignInRefused(
                "The provider did not have you sign in again, or as somebody else."
                " Confirm that it is you in another way, or sign out and in.",
                "The proof was old, or another account's.",
            )
        # The page offers no provider then, and a POST that does not come from it gets no further.
        if must_be_factor(self.request, account):
            raise SignInRefused(
                "You have a second factor. Confirm that it is you with that.",
                "A second factor was asked for.",
            )


def _limited(request: HttpRequest, error: ValidationError, retry_after: int) -> HttpResponse:
    response = _refused(request, str(error.message))
    if retry_after:
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(retry_after)
    return response


def _down(request: HttpRequest) -> HttpResponse:
    else_what = (
        "or ask an operator" if settings.OIDC_ONLY else "or sign in with a password meanwhile"
    )
    text = f"{sign_in.provider_name()} does not answer. Wait a moment and try again, {else_what}."
    response = _refused(request, text, HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = "5"
    return response


def _refused(
    request: HttpRequest, text: str, status: HTTPStatus = HTTPStatus.FORBIDDEN
) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": "You are not signed in", "text": text}
    return TemplateResponse(request, "people/refused.html", context, status=status)
