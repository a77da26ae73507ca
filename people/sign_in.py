"""From a password or the provider's word to a session, by way of the second factor."""

import time
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme

from people import sessions
from people.confirmation import FACTOR_PROVED
from people.second_factor import factors

PENDING = "pending_sign_in"
PENDING_SECONDS = 600


class PasswordSignInView(LoginView):
    """The login page."""

    def form_valid(self, form: BaseForm) -> HttpResponse:
        account = form.get_user()  # type: ignore[attr-defined]
        return proceed(
            self.request, account, how="With the password.", next_url=self.get_success_url()
        )


def proceed(request: HttpRequest, account: User, *, how: str, next_url: str) -> HttpResponse:
    """Ask somebody who proved to be ``account`` for a second factor, if there is one."""
    if not factors.of(account).exists():
        sessions.begin(request, account, how)
        return HttpResponseRedirect(next_url)
    # A session that somebody else may have begun in this browser is not the one to prove in.
    request.session.cycle_key()
    request.session[PENDING] = {
        "account": account.pk,
        "hash": account.get_session_auth_hash(),
        "at": time.time(),
        "how": how,
        "next": next_url,
    }
    return redirect("admin:second_factor")


def pending(request: HttpRequest) -> tuple[User, dict[str, Any]] | None:
    """Return whose second factor is awaited, and with what; None after ten minutes."""
    kept = request.session.get(PENDING)
    if not isinstance(kept, dict) or time.time() - kept["at"] > PENDING_SECONDS:
        return None
    account = User.objects.filter(pk=kept["account"], is_active=True).first()
    # The hash changes with the password: who was locked out meanwhile is not let in.
    if account is None or not constant_time_compare(account.get_session_auth_hash(), kept["hash"]):
        return None
    return account, kept


def complete(
    request: HttpRequest, account: User, kept: dict[str, Any], factor: str
) -> HttpResponse:
    """Begin the session of somebody who has given the second factor too."""
    del request.session[PENDING]
    sessions.begin(request, account, f"{kept['how']} Then with the {factor}.")
    request.session[FACTOR_PROVED] = True
    return HttpResponseRedirect(kept["next"])


def login_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the login page shows: the provider's button, the password form, or both."""
    return {
        "provider": provider_name(),
        "shows_password": not settings.OIDC_ONLY or "local" in request.GET,
        "next_url": safe_next(request),
    }


def provider_name() -> str:
    """Return what people call the provider: its host; blank if there is none."""
    return urlsplit(settings.OIDC_ISSUER).netloc


def safe_next(request: HttpRequest) -> str:
    """Return the page of this site that was asked for before the sign-in; else the overview."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else reverse("admin:index")
