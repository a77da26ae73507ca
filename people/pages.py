"""The app's addresses below the admin's; the admin site adds them to its own."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.utils.module_loading import import_string

from people.second_factor import views

Page = tuple[str, Callable[..., HttpResponse], str]


def _loaded_when_asked(path: str) -> Callable[..., HttpResponse]:
    """Return a view whose module is imported with its first request.

    The libraries behind it take more memory than the whole of the admin's pages, and where
    nobody signs in through a provider or with a second factor they are never needed.
    """

    def view(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = import_string(path)(request, *args, **kwargs)
        return response

    return view


# For those who are not signed in yet.
OPEN_PAGES: list[Page] = [
    ("oidc/begin/", _loaded_when_asked("people.oidc.views.begin"), "oidc_begin"),
    ("oidc/callback/", _loaded_when_asked("people.oidc.views.callback"), "oidc_callback"),
    ("second-factor/", views.second_factor, "second_factor"),
]
# For those who are.
PAGES: list[Page] = [
    ("confirm/", views.confirm_identity, "confirm"),
    ("security/", views.security, "security"),
    ("security/app/", views.add_app, "add_app"),
    ("security/passkey/", views.add_passkey, "add_passkey"),
    ("security/factor/<int:factor_id>/remove/", views.remove_factor, "remove_factor"),
    ("security/recovery-codes/", views.new_codes, "new_codes"),
    ("sessions/<int:user_id>/", views.sessions_of, "sessions_of"),
    ("sessions/<int:user_id>/<int:session_id>/end/", views.end_session, "end_session"),
]
