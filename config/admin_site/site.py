"""The admin site: its name, its passwords that cannot be guessed at, its front page."""

from functools import partial
from http import HTTPStatus
from typing import Any

from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from config.admin_site.login import GuardedAuthenticationForm, GuardedPasswordChangeForm


class LatchkeyAdminSite(UnfoldAdminSite):
    """The control center."""

    site_header = site_title = _("Latchkey")
    index_title = _("Overview")
    login_form = GuardedAuthenticationForm

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Answer 429 where the login form refused to try."""
        return _limited(super().login(request, extra_context))

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
