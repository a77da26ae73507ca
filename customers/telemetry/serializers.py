"""What the telemetry endpoints take and answer."""

from typing import Any, ClassVar

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from apikeys.guard.problems import ErrorList, FieldErrors
from apikeys.guard.serializers import (
    BoundedListField,
    ObjectField,
    PageQuery,
    StrictSerializer,
    TextField,
    TimestampField,
)
from customers.models import TelemetryEvent
from customers.telemetry import ingestion


class TelemetrySerializer(serializers.ModelSerializer[TelemetryEvent]):
    """An event as it is answered."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c44",
        "environment": "production",
        "customer": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41",
        "license": None,
        "type": "report.made",
        "event_id": "2",
        "occurred_at": "2026-11-24T08:00:00Z",
        "received_at": "2026-11-24T08:00:01Z",
        "properties": {"pages": 3},
    }

    customer = serializers.UUIDField(source="customer_id")
    license = serializers.UUIDField(source="license_id", allow_null=True)
    properties = ObjectField()

    class Meta:
        model = TelemetryEvent
        fields = [
            "id", "environment", "customer", "license", "type", "event_id", "occurred_at",
            "received_at", "properties",
        ]  # fmt: skip


class AcceptedSerializer(serializers.Serializer[Any]):
    """An event of a batch, and whether it was there already."""

    id = serializers.UUIDField()
    event_id = serializers.CharField(allow_null=True)
    is_duplicate = serializers.BooleanField()


class BatchSerializer(serializers.Serializer[Any]):
    """What became of a batch, in the order it was sent in."""

    example: ClassVar = {
        "data": [
            {"id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c44", "event_id": "2", "is_duplicate": False}
        ]
    }

    data = AcceptedSerializer(many=True)  # type: ignore[assignment]


class EventInput(StrictSerializer):
    """An event as it is sent."""

    customer = serializers.UUIDField()
    license = serializers.UUIDField(required=False, allow_null=True)
    type = serializers.RegexField(ingestion.TYPE, max_length=100)
    event_id = TextField(
        required=False,
        allow_null=True,
        max_length=ingestion.MAX_EVENT_ID_LENGTH,
        help_text="Your own name for the event: sent again, it is not stored again.",
    )
    occurred_at = TimestampField(required=False, help_text="Now, if left out.")
    properties = ObjectField(required=False)


class BatchInput(StrictSerializer):
    """Many events, all stored or none."""

    events = BoundedListField(child=EventInput(), min_length=1, max_length=ingestion.MAX_EVENTS)


class TelemetryInput(StrictSerializer):
    """One event, or a batch; ``customers.telemetry.ingestion`` reads both."""

    example: ClassVar = {
        "events": [
            {
                "customer": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41",
                "type": "report.made",
                "event_id": "2",
                "properties": {"pages": 3},
            }
        ]
    }

    @staticmethod
    def schema_serializer() -> PolymorphicProxySerializer:
        return PolymorphicProxySerializer("TelemetryInput", [EventInput, BatchInput], None)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise FieldErrors([("body", "Send an event, or an object with `events`.")])
        if "events" not in data:
            return {"is_batch": False, "events": ingestion.read([data], is_batch=False)}
        events = data["events"]
        errors = ErrorList()
        errors.add_unknown(data, {"events"})
        errors.raise_any()
        if not isinstance(events, list) or not 0 < len(events) <= ingestion.MAX_EVENTS:
            raise FieldErrors([("events", f"Send a list of 1 to {ingestion.MAX_EVENTS} events.")])
        return {"is_batch": True, "events": ingestion.read(events, is_batch=True)}


def _with_event_id(rows: Any, event_id: str) -> Any:
    # The subquery has SQLite use the index of event_id; it would scan the environment in order.
    named = TelemetryEvent.objects.filter(event_id=event_id).order_by()
    return rows.filter(pk__in=named.values("pk"))


class TelemetryQuery(PageQuery):
    """What a list of events can be narrowed by."""

    customer = serializers.UUIDField(required=False)
    license = serializers.UUIDField(required=False)
    type = TextField(required=False)
    event_id = TextField(required=False)
    occurred_after = TimestampField(required=False, help_text="At or after this time.")
    occurred_before = TimestampField(required=False, help_text="Before this time.")

    FILTERS = {
        "event_id": _with_event_id,
        "occurred_after": "occurred_at__gte",
        "occurred_before": "occurred_at__lt",
    }


class SummaryQuery(StrictSerializer):
    """What is added up; the last 24 hours if no time is given."""

    customer = serializers.UUIDField(required=False)
    license = serializers.UUIDField(required=False)
    type = TextField(required=False)
    occurred_after = TimestampField(required=False, help_text="At or after this time.")
    occurred_before = TimestampField(
        required=False, help_text="Before this time; at most 31 days after the other."
    )


class TotalSerializer(serializers.Serializer[Any]):
    """How many events of a type occurred in an hour."""

    type = serializers.CharField()
    hour = serializers.DateTimeField()
    count = serializers.IntegerField()


class SummarySerializer(serializers.Serializer[Any]):
    """Totals by type and hour, newest hour first."""

    example: ClassVar = {
        "data": [{"type": "report.made", "hour": "2026-11-24T08:00:00Z", "count": 12}],
        "occurred_after": "2026-11-23T09:00:00Z",
        "occurred_before": "2026-11-24T09:00:00Z",
    }

    data = TotalSerializer(many=True)  # type: ignore[assignment]
    occurred_after = TimestampField()
    occurred_before = TimestampField()
