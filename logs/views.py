"""The logs endpoints: a key sees the requests made with itself."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from logs.models import RequestLog
from logs.models.requests import mark_redacted_requests
from logs.serializers import LogDetailSerializer, LogQuery, LogSerializer
from logs.stores import log_store


class LogsView(GuardedView):
    """The requests made with the calling key."""

    @endpoint(
        Permission.LOGS_READ,
        "List the requests made with this key",
        query=LogQuery,
        response=LogSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of requests, newest first; they appear within a second."""
        rows = RequestLog.objects.visible_to(self.key)
        return self.page(rows, prepare=mark_redacted_requests)


class LogView(GuardedView):
    """One of them."""

    @endpoint(
        Permission.LOGS_READ,
        "Show a request made with this key",
        response=LogDetailSerializer,
        problems=("not_found",),
    )
    def get(self, request: Request, environment: str, log_id: UUID) -> Response:
        """Answer the request with its headers and bodies, as far as they are kept."""
        rows = log_store().related(RequestLog.objects.visible_to(self.key), "content")
        log = get_object_or_404(rows, pk=log_id)
        mark_redacted_requests([log], self.key)
        return self.show(log)
