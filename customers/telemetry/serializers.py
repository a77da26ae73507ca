"""What the telemetry endpoints take and answer."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from apikeys.guard.problems import ErrorList, FieldErrors
from apikeys.guard.serializers import (
    BoundedListField,
    ObjectField,
    PageQuery,
    Reader,
    StrictSerializer,
    TextField,
    TimestampField,
    shared_serializer,
)
from customers.models import TelemetryEvent
from customers.telemetry.ingestion import SentEvent

MAX_EVENTS = 1000
MAX_EVENT_ID_LENGTH = 100
UUID_LENGTH = 36
EVENT_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)


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


def _always(message: str) -> dict[str, Any]:
    """Return one message for whatever is wrong with a field."""
    return dict.fromkeys(("required", "invalid", "blank", "max_length"), message)


AN_ID = _always("Give the id, a UUID.")
A_TYPE = _always("Use 1 to 100 letters, digits and . _ : / -, a letter or digit first.")
AN_EVENT_ID = _always(f"Use a text of 1 to {MAX_EVENT_ID_LENGTH} characters.")


class IdField(serializers.UUIDField):
    """An id in the form in which it is answered."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or len(data) != UUID_LENGTH:
            self.fail("invalid")
        return super().to_internal_value(data)


class EventTypeField(serializers.RegexField):
    """A name for events of one kind."""

    def to_internal_value(self, data: Any) -> str:
        # All of it has to match; REST framework takes a part.
        if not isinstance(data, str) or not EVENT_TYPE.fullmatch(data):
            self.fail("invalid")
        return data


def near(timestamp: datetime) -> None:
    if not EARLIEST <= timestamp <= timezone.now() + AHEAD:
        raise serializers.ValidationError("Give a time after the year 2000 and not in the future.")


class EventInput(StrictSerializer):
    """An event as it is sent."""

    customer = IdField(error_messages=AN_ID)
    license = IdField(required=False, allow_null=True, error_messages=AN_ID)
    type = EventTypeField(EVENT_TYPE, max_length=100, error_messages=A_TYPE)
    event_id = TextField(
        required=False,
        allow_null=True,
        max_length=MAX_EVENT_ID_LENGTH,
        error_messages=AN_EVENT_ID,
        help_text="Your own name for the event: sent again, it is not stored again.",
    )
    occurred_at = TimestampField(required=False, validators=[near], help_text="Now, if left out.")
    properties = ObjectField(required=False)

    def read(self, item: Any, field: str, errors: ErrorList) -> dict[str, Any]:
        """Return the values of the event that is ``field`` of the body; add what is wrong.

        A member that is null is taken for one left out.
        """
        values: dict[str, Any] = {}
        if not isinstance(item, dict):
            errors.add(field or "body", "This must be a JSON object.")
            return values
        prefix = f"{field}." if field else ""
        errors.add_unknown(item, self.fields.keys(), prefix=prefix)
        for name, _, read, read_missing in cast(list[Reader], self.readers):
            value = item.get(name)
            try:
                if value is not None:
                    values[name] = read(value)
                elif read_missing is not None:
                    read_missing()
            except ValidationError as error:
                errors.add(f"{prefix}{name}", error.messages[0])
            except serializers.ValidationError as error:
                message, *_ = error.detail
                errors.add(f"{prefix}{name}", str(message))
        return values


class BatchInput(StrictSerializer):
    """Many events, all stored or none."""

    events = BoundedListField(child=EventInput(), min_length=1, max_length=MAX_EVENTS)


class TelemetryInput(StrictSerializer):
    """One event, or a batch."""

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
            return {"is_batch": False, "events": _read([data], is_batch=False)}
        events = data["events"]
        errors = ErrorList()
        errors.add_unknown(data, {"events"})
        errors.raise_any()
        if not isinstance(events, list) or not 0 < len(events) <= MAX_EVENTS:
            raise FieldErrors([("events", f"Send a list of 1 to {MAX_EVENTS} events.")])
        return {"is_batch": True, "events": _read(events, is_batch=True)}


def _read(items: Sequence[Any], *, is_batch: bool) -> list[SentEvent]:
    """Return the events of a request, unsaved; raise a 400 that names the fields at fault."""
    now, errors, event_input = timezone.now(), ErrorList(), shared_serializer(EventInput, False)
    events = []
    for number, item in enumerate(items):
        values = event_input.read(item, f"events[{number}]" if is_batch else "", errors)
        if not errors.count:
            events.append(
                SentEvent(
                    customer_id=values["customer"],
                    license_id=values.get("license"),
                    type=values["type"],
                    event_id=values.get("event_id"),
                    occurred_at=values.get("occurred_at", now),
                    received_at=now,
                    properties=values.get("properties", {}),
                )
            )
    errors.raise_any()
    return events


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
