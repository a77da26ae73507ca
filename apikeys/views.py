"""``GET key``: what a caller may know of its own key."""

from typing import ClassVar, cast

from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard import throttling
from apikeys.guard.answers import represent
from apikeys.guard.context import context_of
from apikeys.guard.key_lookup import SHOWN_FIELDS
from apikeys.guard.permissions import ANY_KEY
from apikeys.guard.views import GuardedView, endpoint
from apikeys.limiter.store import Decision
from apikeys.limits import WINDOWS
from apikeys.serializers import KeySerializer, WindowsSerializer


class CallingKeySerializer(KeySerializer):
    """The calling key."""

    example: ClassVar = KeySerializer.example | {
        "remaining": {window.name: window.default - 1 for window in WINDOWS}
    }

    remaining = WindowsSerializer(help_text="What is left of them after this request.")


class CallingKeyView(GuardedView):
    """The calling key."""

    key_fields = SHOWN_FIELDS

    @endpoint(ANY_KEY, "Show the calling key", response=CallingKeySerializer)
    def get(self, request: Request, environment: str) -> Response:
        """Answer the key itself, with what is left of its limits."""
        decision = cast(Decision, context_of(request).decision)
        shown = represent(KeySerializer, self.key)
        return Response(shown | {"remaining": throttling.remaining(decision)})
