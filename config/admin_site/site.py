"""The admin site: its name, its passwords that cannot be guessed at, its front page."""

from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from apikeys.credentials import REFERENCE, cut_to_key_id, mask
from audit.actors import actor_of
from audit.trail import record
from backoffice.changelists import saved_filters
from backoffice.finding import page
from backoffice.finding.page import TERM
from people import pages as people_pages
from people import sign_in
from people.audited import StaffAction
from people.passwords import GuardedAuthenticationForm, GuardedPasswordChangeForm
from review import pages as review_pages


class LatchkeyAdminSite(UnfoldAdminSite):
    """The control center."""

    site_header = site_title = _("Latchkey")
    index_title = _("Overview")
    login_form = GuardedAuthenticationForm

    def get_urls(self) -> list[Any]:
        # Before those of the models, which take any word for the id of a row.
        pages = [
            *review_pages.PAGES, *people_pages.PAGES, *saved_filters.pages(self, mask=mask)
        ]  # fmt: skip
        own = [path(route, self.admin_view(view), name=name) for route, view, name in pages]
        opened = [path(route, view, name=name) for route, view, name in people_pages.OPEN_PAGES]
        return [*own, *opened, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the login; answer 429 where its form refused to try."""
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        request.current_app = self.name
        view = sign_in.PasswordSignInView.as_view(
            authentication_form=self.login_form,
            template_name="admin/login.html",
            next_page="admin:index",
            extra_context=self.each_context(request)
            | {"title": _("Log in"), "app_path": request.get_full_path()}
            | sign_in.login_context(request)
            | (extra_context or {}),
        )
        return _limited(view(request))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {
            **super().each_context(request),
            "credential_pattern": REFERENCE,
            "version": settings.LATCHKEY_VERSION,
        }

    def search(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Search by what each app registered; of a credential by its key id."""
        typed = cut_to_key_id(request.GET.get(TERM, ""))
        return page.answer(request, typed, lambda: self.each_context(request) | {"title": "Search"})

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Put it on record; the base does it."""
        if request.method == "POST" and isinstance(request.user, User):
            with transaction.atomic():
                record(request.user, StaffAction.SIGNED_OUT, actor_of(request))
                return super().logout(request, extra_context)
        return super().logout(request, extra_context)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Do as the base does, with a form that counts wrong passwords."""
        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=partial(GuardedPasswordChangeForm, request=request),
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return _limited(view(request))


def _limited(response: Any) -> Any:
    form = getattr(response, "context_data", {}).get("form")
    if form is not None and getattr(form, "retry_after", False):
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(form.retry_after)
    return response
