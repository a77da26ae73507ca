"""The telemetry endpoints."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.problems import FieldErrors, not_found
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from customers import ingestion
from customers.hours import Hour
from customers.models import TelemetryEvent
from customers.serializers.telemetry import (
    BatchSerializer,
    SummaryQuery,
    SummarySerializer,
    TelemetryInput,
    TelemetryQuery,
    TelemetrySerializer,
)

USUAL_SPAN = timedelta(hours=24)
LONGEST_SPAN = timedelta(days=31)


class TelemetryView(GuardedView):
    """The events a key may see."""

    @endpoint(
        Permission.TELEMETRY_READ,
        "List telemetry",
        query=TelemetryQuery,
        answer=TelemetrySerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of events, the last received first."""
        rows = TelemetryEvent.objects.visible_to(self.key)
        return self.page(rows.filter(**TelemetryQuery.filters(self.query)), TelemetrySerializer)

    @endpoint(
        Permission.TELEMETRY_WRITE,
        "Send telemetry",
        body=TelemetryInput,
        answer=(TelemetrySerializer, BatchSerializer),
        status=201,
        also=(200,),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Store one event, or up to 1,000: all of them or, if one is wrong, none.

        Answers 200 if every event was there already.
        """
        is_batch: bool = self.body["is_batch"]
        accepted = ingestion.accept(self.key, self.body["events"], is_batch=is_batch)
        self.concerns(accepted[0].event.customer_id)
        status = 201 if any(one.is_new for one in accepted) else 200
        if not is_batch:
            event = accepted[0].event
            location = f"{request.path}/{event.pk}"
            data = TelemetrySerializer(event).data
            return Response(data, status=status, headers={"Location": location})
        rows = [
            {"id": one.event.pk, "event_id": one.event.event_id, "is_duplicate": not one.is_new}
            for one in accepted
        ]
        return Response({"data": rows}, status=status)


class TelemetryEventView(GuardedView):
    """One event."""

    @endpoint(Permission.TELEMETRY_READ, "Show an event", answer=TelemetrySerializer)
    def get(self, request: Request, environment: str, telemetry_id: UUID) -> Response:
        """Answer the event."""
        found = TelemetryEvent.objects.visible_to(self.key).filter(pk=telemetry_id).first()
        if found is None:
            raise not_found()
        self.concerns(found.customer_id)
        return Response(TelemetrySerializer(found).data)


class SummaryView(GuardedView):
    """Totals of the events a key may see."""

    @endpoint(
        Permission.TELEMETRY_READ,
        "Sum telemetry up",
        query=SummaryQuery,
        answer=SummarySerializer,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer how many events of each type occurred in each hour."""
        query = dict(self.query)
        until = query.pop("occurred_before", None) or timezone.now()
        since = query.pop("occurred_after", None) or until - USUAL_SPAN
        if not timedelta(0) <= until - since <= LONGEST_SPAN:
            raise FieldErrors([("occurred_before", "Ask for at most 31 days, the earlier first.")])
        rows: Any = (
            TelemetryEvent.objects.visible_to(self.key)
            .filter(occurred_at__gte=since, occurred_at__lt=until, **query)
            .order_by()
            .annotate(hour=Hour("occurred_at"))
            .values("hour", "type")
            .annotate(count=Count("pk"))
            .order_by("-hour", "type")
        )
        totals = {"data": list(rows), "occurred_after": since, "occurred_before": until}
        return Response(SummarySerializer(totals).data)
