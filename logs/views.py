"""The logs endpoints: a key sees the requests made with itself."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.problems import not_found
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from logs.models import RequestLog
from logs.models.requests import mark_redacted_requests
from logs.serializers import LogDetailSerializer, LogQuery, LogSerializer


class LogsView(GuardedView):
    """The requests made with the calling key."""

    @endpoint(
        Permission.LOGS_READ,
        "List the requests made with this key",
        query=LogQuery,
        answer=LogSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of requests, newest first; they appear within a second."""
        rows = LogQuery.narrow(RequestLog.objects.visible_to(self.key), self.query)
        return self.page(rows, LogSerializer, prepare=mark_redacted_requests)


class LogView(GuardedView):
    """One of them."""

    @endpoint(
        Permission.LOGS_READ,
        "Show a request made with this key",
        answer=LogDetailSerializer,
        problems=("not_found",),
    )
    def get(self, request: Request, environment: str, log_id: UUID) -> Response:
        """Answer the request with its headers and bodies, as far as they are kept."""
        rows: Any = RequestLog.objects.visible_to(self.key).select_related("content")
        found = rows.filter(pk=log_id).first()
        if found is None:
            raise not_found()
        mark_redacted_requests([found], self.key)
        return Response(LogDetailSerializer(found).data)
