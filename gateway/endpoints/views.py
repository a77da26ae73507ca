"""``keys/verify`` and ``introspect`` as guarded views.

``gateway.endpoints.application`` answers usual requests without Django, by what is declared here.
"""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.context import RequestContext, context_of
from apikeys.guard.parsers import FormParser
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from gateway.endpoints.introspection import IntrospectInput, IntrospectionSerializer, introspect
from gateway.endpoints.verification import VerdictSerializer, VerifyInput, verify


class DecisionView(GuardedView):
    """Decides about a credential that the body holds, so the log keeps no body."""

    keeps_body = False

    @staticmethod
    def decide(
        values: dict[str, Any], environment: str, context: RequestContext
    ) -> dict[str, object]:
        """Return the answer to a validated body."""
        raise NotImplementedError

    def answer(self, request: Request, environment: str) -> Response:
        return Response(self.decide(self.body, environment, context_of(request)))


class VerifyView(DecisionView):
    """A key that another service was sent."""

    decide = staticmethod(verify)

    @endpoint(Permission.KEYS_VERIFY, "Verify a key", body=VerifyInput, response=VerdictSerializer)
    def post(self, request: Request, environment: str) -> Response:
        """Say whether a request with the key of the body may pass, and count it against the key.

        The calling key is counted as with any endpoint. Ask again for each request: no answer
        is kept here, so `Idempotency-Key` is ignored.
        """
        return self.answer(request, environment)


class IntrospectView(DecisionView):
    """A credential as OAuth 2.0 describes it (RFC 7662)."""

    takes_basic = True
    parser_classes = (FormParser,)
    decide = staticmethod(introspect)

    @endpoint(
        Permission.KEYS_VERIFY,
        "Introspect a token",
        body=IntrospectInput,
        response=IntrospectionSerializer,
    )
    def post(self, request: Request, environment: str) -> Response:
        """Say whether a credential is good now in this environment, and what its key may do.

        The body is a form. The calling key may be sent as the password of HTTP Basic, with any
        user name. Nothing is counted against the key that is asked about.
        """
        return self.answer(request, environment)
