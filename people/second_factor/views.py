"""The pages on which people set up, use and remove their second factors, and see their sessions."""

import base64
import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from audit.actors import actor_of
from backoffice import proofs
from database.refusals import Refused
from people import confirmation, sessions, sign_in
from people.adapters import Undecipherable
from people.confirmation import FACTOR_PROVED, ProofForm, confirm
from people.second_factor import factors

View = Callable[..., HttpResponse]
SETUP_SECONDS = 1800


def freshly_proved(view: View) -> View:
    """Ask for a proof first: a session left open must not be enough to add a factor.

    Nor is a password, where there is a factor that this session has not proved.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        lacks_factor = confirmation.must_be_factor(request, _account(request))
        if proofs.is_fresh(request) and not lacks_factor:
            return view(request, *args, **kwargs)
        page = request.path if request.method == "GET" else reverse("admin:security")
        return redirect(f"{reverse('admin:confirm')}?{urlencode({'next': page})}")

    return guarded


@never_cache
@sensitive_post_parameters()
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask somebody whose password was right for the second factor."""
    awaited = sign_in.pending(request)
    if awaited is None:
        return redirect("admin:login")
    account, kept = awaited
    data = request.POST if request.method == "POST" else None
    form = ProofForm(request, account, data, must_be_factor=True)
    if data is not None and form.is_valid():
        return sign_in.complete(request, account, kept, form.how)
    return _proof_page(request, form, "people/second_factor.html", "Second factor")


@never_cache
@sensitive_post_parameters()
def confirm_identity(request: HttpRequest) -> HttpResponse:
    """Ask somebody who is signed in once more who they are."""
    account = _account(request)
    data = request.POST if request.method == "POST" else None
    must_be = confirmation.must_be_factor(request, account)
    form = ProofForm(request, account, data, must_be_factor=must_be)
    if data is not None and form.is_valid():
        confirm(request, account, form.how, is_factor=form.is_factor)
        return redirect(sign_in.safe_next(request))
    return _proof_page(request, form, "people/confirm.html", "Confirm that it is you")


@never_cache
def security(request: HttpRequest) -> HttpResponse:
    """Show one's own second factors and sessions."""
    account = _account(request)
    codes = factors.recovery_codes_of(account)
    context = {
        "factors": [(factor, str(factor)) for factor in factors.of(account).order_by("pk")],
        "has_app": factors.of(account).filter(type=factors.Type.TOTP).exists(),
        "codes_left": len(_unused(codes)) if codes else None,
        "is_required": factors.is_required_of(account),
        "must_enrol": factors.is_required_of(account) and not factors.of(account).exists(),
        "sessions": sessions.listed(request, account),
        "identity": sign_in.provider_name(),
    }
    return _page(request, "people/security.html", "Sign-in and security", context)


@never_cache
@freshly_proved
@sensitive_post_parameters()
@sensitive_variables("secret", "setup")
def add_app(request: HttpRequest) -> HttpResponse:
    """Show the secret of a new authenticator app, and take the first code that it makes of it."""
    account, error = _account(request), ""
    setup, secret = _setup(request, account)
    if request.method == "POST" and secret:
        try:
            code = request.POST.get("code", "")
            added = factors.add_app(account, secret, code, **_who(request))
            return _added(request, added)
        except Refused as refused:
            error = str(refused)
    elif request.method == "POST":
        error = "This page is too old. Set the app up with the code that is shown now."
    if not secret:
        secret = totp.generate_totp_secret()
        setup = get_adapter().encrypt(json.dumps([account.pk, secret]))
    address = get_adapter().build_totp_url(account, secret)
    context = {
        "setup": setup,
        "secret": " ".join(secret[n : n + 4] for n in range(0, len(secret), 4)),
        # A picture of its own: as a part of the page it would be dark on dark.
        "picture": "data:image/svg+xml;base64,"
        + base64.b64encode(get_adapter().build_totp_svg(address).encode()).decode(),
        "error": error,
    }
    return _page(request, "people/add_app.html", "Set up an authenticator app", context)


@never_cache
@freshly_proved
def add_passkey(request: HttpRequest) -> HttpResponse:
    """Have the browser make a passkey, and store it."""
    account, error = _account(request), ""
    if request.method == "POST":
        try:
            factor = import_string("people.second_factor.passkeys.made")(
                account, request.POST.get("name", ""), request.POST.get("credential", "")
            )
            return _added(request, factors.add_passkey(account, factor, **_who(request)))
        except (Refused, ValidationError) as refused:
            error = " ".join(getattr(refused, "messages", [str(refused)]))
    options = import_string("people.second_factor.passkeys.options_to_add")(account)
    context = {"options": options, "error": error, "is_address": not _has_name(request)}
    return _page(request, "people/add_passkey.html", "Add a passkey", context)


@require_POST
@freshly_proved
def remove_factor(request: HttpRequest, factor_id: int) -> HttpResponse:
    try:
        factors.remove(_account(request), factor_id, actor=actor_of(request))
        messages.success(request, "The factor is removed.")
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("admin:security")


@never_cache
@require_POST
@freshly_proved
@sensitive_variables("codes")
def new_codes(request: HttpRequest) -> HttpResponse:
    """Show new recovery codes, in the answer to this POST alone."""
    try:
        codes = factors.renew_recovery_codes(_account(request), actor=actor_of(request))
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("admin:security")
    return _codes_page(request, codes)


@require_POST
def end_session(request: HttpRequest, user_id: int, session_id: int) -> HttpResponse:
    """End a session of one's own; superusers those of others too."""
    account = _visible_account(request, user_id)
    if sessions.end(account, session_id, actor=actor_of(request)):
        messages.success(request, "The session is ended.")
    return _back_to(request, account)


@never_cache
def sessions_of(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show superusers the sessions of an account."""
    account = _visible_account(request, user_id)
    context = {"account": account, "sessions": sessions.listed(request, account)}
    return _page(request, "people/sessions.html", f"Sessions of {account}", context)


def _visible_account(request: HttpRequest, user_id: int) -> User:
    if user_id != request.user.pk and not request.user.is_superuser:
        raise PermissionDenied
    return get_object_or_404(User, pk=user_id)


def _back_to(request: HttpRequest, account: User) -> HttpResponse:
    if account == request.user:
        return redirect("admin:security")
    return redirect("admin:sessions_of", account.pk)


def _account(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return User.objects.get(pk=request.user.pk)


@sensitive_variables("secret", "setup")
def _setup(request: HttpRequest, account: User) -> tuple[str, str]:
    """Return what the form carries of an app that is being set up, sealed and open."""
    setup = request.POST.get("setup", "")
    if not setup:
        return "", ""
    try:
        owner, secret = json.loads(get_adapter().decrypt(setup, max_age=SETUP_SECONDS))
    except (Undecipherable, ValueError):
        return "", ""
    return (setup, secret) if owner == account.pk else ("", "")


def _who(request: HttpRequest) -> dict[str, Any]:
    """Return who adds a factor, and in which session."""
    return {"actor": actor_of(request), "session_key": request.session.session_key}


def _added(request: HttpRequest, added: factors.Added) -> HttpResponse:
    """Show what came of adding a factor, which this session has proved thereby."""
    request.session[FACTOR_PROVED] = True
    if added.recovery_codes:
        return _codes_page(request, added.recovery_codes)
    messages.success(request, "The factor is added.")
    return redirect("admin:security")


def _codes_page(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return _page(request, "people/recovery_codes.html", "Recovery codes", {"codes": codes})


def _unused(codes: Any) -> list[str]:
    try:
        unused: list[str] = codes.wrap().get_unused_codes()
    except Undecipherable:
        return []
    return unused


def _has_name(request: HttpRequest) -> bool:
    """Whether the page has a host name: for an address browsers make no passkeys."""
    host = request.get_host().rpartition(":")[0] or request.get_host()
    return not host.replace(".", "").isdigit() and not host.startswith("[")


def _proof_page(request: HttpRequest, form: ProofForm, template: str, title: str) -> HttpResponse:
    context = {
        "form": form,
        "options": form.passkey_options,
        "next_url": sign_in.safe_next(request),
        "provider": sign_in.provider_name() if form.has_provider else "",
    }
    response = _page(request, template, title, context)
    if form.retry_after:
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(form.retry_after)
    return response


def _page(request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
    request.current_app = admin.site.name
    own = admin.site.each_context(request) | {
        "title": title,
        "minutes": settings.REAUTHENTICATE_MINUTES,
    }
    return TemplateResponse(request, template, own | context)
