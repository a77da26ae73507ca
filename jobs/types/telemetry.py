"""Jobs about telemetry."""

import json
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers

from apikeys.guard.serializers import StrictSerializer, TextField, TimestampField
from apikeys.permissions import Permission
from customers.models import TelemetryEvent
from customers.telemetry import rollups
from customers.telemetry.serializers import TelemetryQuery, TelemetrySerializer
from jobs.registry import Step, Steps, Work, job_type

CHUNK = 500
# Before every id.
NONE = str(UUID(int=0))


def _narrowed(work: Work) -> Any:
    rows = TelemetryEvent.objects.visible_to(work.key)
    return TelemetryQuery.narrow(rows, work.params).order_by("pk")


class ExportParams(StrictSerializer):
    """Which events to export."""

    customer = serializers.UUIDField(required=False)
    type = TextField(required=False)
    occurred_after = TimestampField(required=False)
    occurred_before = TimestampField(required=False)


@job_type(
    "telemetry.export",
    params=ExportParams,
    permissions=(Permission.TELEMETRY_READ,),
    file_name="telemetry.ndjson",
    file_type="application/x-ndjson",
)
def export_telemetry(work: Work) -> Steps:
    """Write events to a file, one JSON object a line, oldest first."""
    until = work.state.get("until") or timezone.now().isoformat()

    def rows() -> Any:
        return _narrowed(work).filter(received_at__lte=until)

    total = rows().count()
    done, last = work.done, work.state.get("last") or NONE
    while chunk := list(rows().filter(pk__gt=last)[:CHUNK]):
        data = TelemetrySerializer(chunk, many=True).data
        part = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in data)
        done, last = done + len(chunk), str(chunk[-1].pk)
        state = {"until": until, "last": last}
        yield Step(done, max(total, done), f"{done} of {total} events", state, part)
    return {"events": done}


class PurgeParams(StrictSerializer):
    """Which events to delete."""

    occurred_before = TimestampField()
    customer = serializers.UUIDField(required=False)
    type = TextField(required=False)


@job_type("telemetry.purge", params=PurgeParams, permissions=(Permission.TELEMETRY_WRITE,))
def purge_telemetry(work: Work) -> Steps:
    """Delete the events that occurred before a time."""
    done, total = work.done, work.done + _narrowed(work).count()
    while chunk := list(_narrowed(work)[:CHUNK]):
        TelemetryEvent.objects.filter(pk__in=[event.pk for event in chunk]).delete()
        rollups.subtract(chunk)
        done += len(chunk)
        yield Step(done, max(total, done), f"{done} of {total} events deleted")
    return {"deleted": done}
