"""The telemetry endpoints."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.problems import FieldErrors
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from customers.models import TelemetryEvent, TelemetryTotal
from customers.telemetry import ingestion
from customers.telemetry.serializers import (
    BatchSerializer,
    SummaryQuery,
    SummarySerializer,
    TelemetryInput,
    TelemetryQuery,
    TelemetrySerializer,
)

USUAL_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=31)
ALMOST_AN_HOUR = timedelta(hours=1, microseconds=-1)


class TelemetryView(GuardedView):
    """The events a key may see."""

    def resolve_target(self) -> bool:
        ingestion.check_owners(self.key, self.body["events"], is_batch=self.body["is_batch"])
        return True

    @endpoint(
        Permission.TELEMETRY_READ,
        "List telemetry",
        query=TelemetryQuery,
        response=TelemetrySerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of events, the last received first."""
        return self.page(TelemetryEvent.objects.visible_to(self.key))

    @endpoint(
        Permission.TELEMETRY_WRITE,
        "Send telemetry",
        body=TelemetryInput,
        response=(TelemetrySerializer, BatchSerializer),
        status=201,
        extra_statuses=(200,),
        idempotent=True,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Store one event, or up to 1,000: all of them or, if one is wrong, none.

        Answers 200 if every event was there already.
        """
        is_batch: bool = self.body["is_batch"]
        accepted = ingestion.accept(self.body["events"])
        customers = {one.event.customer_id for one in accepted}
        if len(customers) == 1:
            self.set_log_customer(accepted[0].event.customer_id)
        status = 201 if any(one.is_new for one in accepted) else 200
        if not is_batch:
            return self.show_new(accepted[0].event, status)
        rows = [
            {"id": one.event.id, "event_id": one.event.event_id, "is_duplicate": not one.is_new}
            for one in accepted
        ]
        return Response({"data": rows}, status=status)


class TelemetryEventView(GuardedView):
    """One event."""

    @endpoint(Permission.TELEMETRY_READ, "Show an event", response=TelemetrySerializer)
    def get(self, request: Request, environment: str, telemetry_id: UUID) -> Response:
        answer = self.show_visible(TelemetryEvent, telemetry_id)
        self.set_log_customer(answer.data["customer"])
        return answer


class SummaryView(GuardedView):
    """Totals of the events a key may see."""

    @endpoint(
        Permission.TELEMETRY_READ,
        "Sum telemetry up",
        query=SummaryQuery,
        response=SummarySerializer,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer how many events of each type occurred in each hour, in whole hours."""
        since, until = self._span()
        rows: Any = TelemetryTotal.objects.visible_to(
            self.key, customer=self.query.get("customer"), license_=self.query.get("license")
        ).filter(hour__gte=since, hour__lt=until)
        if "type" in self.query:
            rows = rows.filter(type=self.query["type"])
        summed = rows.values("hour", "type").annotate(count=Sum("number")).order_by("-hour", "type")
        totals = {"data": list(summed), "occurred_after": since, "occurred_before": until}
        return self.show(totals)

    def _span(self) -> tuple[datetime, datetime]:
        """Return whole hours: the one that the span begins in to the one that it ends in."""
        try:
            until = self.query.get("occurred_before") or timezone.now()
            since = self.query.get("occurred_after") or until - USUAL_SPAN
            if timedelta(0) <= until - since <= MAX_SPAN:
                return _hour(since), _hour(until + ALMOST_AN_HOUR)
        except OverflowError:
            # An end of the calendar.
            pass
        raise FieldErrors([("occurred_before", "Ask for at most 31 days, the earlier first.")])


def _hour(timestamp: datetime) -> datetime:
    return timestamp.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
