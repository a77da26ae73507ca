"""The admin site: its name, its login that cannot be guessed at, its front page."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from config.login import TOO_MANY, GuardedAuthenticationForm


class LatchkeyAdminSite(UnfoldAdminSite):
    """The control center."""

    site_header = site_title = _("Latchkey")
    index_title = _("Overview")
    login_form = GuardedAuthenticationForm

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Answer 429 where the login form refused to try."""
        response = super().login(request, extra_context)
        form = getattr(response, "context_data", {}).get("form")
        if form is not None and form.has_error(NON_FIELD_ERRORS, TOO_MANY):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response["Retry-After"] = str(form.retry_after)
        return response
