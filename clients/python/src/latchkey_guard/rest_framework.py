"""Django REST Framework: authentication and a permission class.

A view says what it needs, and gets what Latchkey decided as ``request.auth``::

    class OrdersView(APIView):
        latchkey_permission = "orders:read"                            # or one for each method:
        latchkey_permission = {"GET": "orders:read", "POST": "orders:write"}
        latchkey_permission = ANY_KEY                                  # any valid key

``settings.LATCHKEY_GUARD`` has the arguments of ``Guard``.
"""

from functools import lru_cache
from typing import Any

from django.conf import settings
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.settings import api_settings

from latchkey_guard.decision import Decision
from latchkey_guard.guard import Guard
from latchkey_guard.wsgi import decide

ANY_KEY = "any-key"
DECISION = "latchkey.decision"


class Refused(exceptions.APIException):
    """The decision to refuse."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.detail, decision.code)
        self.decision = decision
        self.status_code = decision.status


@lru_cache(maxsize=1)
def guard() -> Guard:
    """Return the guard of ``settings.LATCHKEY_GUARD``."""
    arguments: dict[str, Any] = getattr(settings, "LATCHKEY_GUARD")  # noqa: B009 - typed as ours
    return Guard(**arguments)


class LatchkeyAuthentication(BaseAuthentication):
    """Asks Latchkey about the request's key and what the view needs, in one question."""

    def authenticate(self, request: Any) -> tuple[Any, Decision]:
        """Return nobody and the decision; raise ``Refused``."""
        needed = _needed(request.parser_context.get("view"), request.method)
        permission = "" if needed in {None, ANY_KEY} else str(needed)
        decision = decide(guard(), request._request.META, permission=permission)
        if not decision.valid:
            raise Refused(decision)
        request._request.META[DECISION] = decision
        nobody: Any = api_settings.UNAUTHENTICATED_USER
        return nobody() if nobody else None, decision

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge of a 401."""
        return f'Bearer realm="{guard().environment}"'


class HasLatchkeyPermission(BasePermission):
    """Admits what Latchkey admitted for what the view needs, and nothing to a silent view."""

    message = "This view does not say which permission it needs. Set latchkey_permission on it."

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the decision was about what the view needs."""
        decision, needed = request.auth, _needed(view, request.method)
        if not isinstance(decision, Decision) or not decision.valid or needed is None:
            return False
        return needed in {ANY_KEY, decision.permission}


def _needed(view: Any, method: str) -> str | None:
    needed = getattr(view, "latchkey_permission", None)
    # REST framework answers HEAD as it does GET.
    return needed.get("GET" if method == "HEAD" else method) if isinstance(needed, dict) else needed
