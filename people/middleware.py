"""Middleware of pages; requests under ``/api/`` and ``/auth/`` do not come here."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from people import sessions
from people.confirmation import FACTOR_PROVED
from people.second_factor import factors

ADMIN = "/admin/"


# What somebody who must enrol may still open. Everything else of the admin waits.
ENROLMENT = frozenset(
    f"admin:{name}"
    for name in (
        "login", "logout", "oidc_begin", "oidc_callback", "second_factor", "confirm", "security",
        "add_app", "add_passkey", "end_session",
    )
)  # fmt: skip


class SessionMiddleware(MiddlewareMixin):
    """Lists sessions, and sends people to enrol a second factor before anything else."""

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        if not request.path_info.startswith(ADMIN) or not isinstance(request.user, User):
            return None
        sessions.keep_listed(request)
        match = request.resolver_match
        if match is None or match.view_name in ENROLMENT:
            return None
        if not factors.is_required_of(request.user):
            return None
        # The session alone is not asked: the factor that it proved may have been removed since.
        has_factor = factors.of(request.user).exists()
        if has_factor and request.session.get(FACTOR_PROVED):
            return None
        # A session from before the factor was enrolled has to prove it.
        page = "admin:confirm" if has_factor else "admin:security"
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": reverse(page)})
        return redirect(page)
