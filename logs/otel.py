"""A span for each request on record, sent to a collector of OpenTelemetry.

Loaded only where ``OTEL_EXPORTER_OTLP_ENDPOINT`` names one: the packages take as long to load as
much of Django. A span says what the list of requests says, and no header, body or query. It is sent
in the background; what a collector that is away does not take is dropped.
"""

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from logs.capture import traceparent
from logs.capture.record import Record

MICROSECOND = 1000


class Spans:
    """Sends spans; one a process, made in it: a thread of its own sends them."""

    def __init__(self) -> None:
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES name comes first.
        named = Resource.create({SERVICE_VERSION: settings.LATCHKEY_VERSION})
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: "latchkey"}))
        self._provider = TracerProvider(resource=named)
        address = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces"
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
        self._tracer = self._provider.get_tracer("latchkey")

    def add(self, record: Record, sent: str | None) -> None:
        """Send the span of a record; ``sent`` is its ``traceparent``, whose child it is."""
        span = self._tracer.start_span(
            _name(record),
            set_span_in_context(NonRecordingSpan(_caller(sent))),
            kind=SpanKind.SERVER,
            attributes=_attributes(record),
            start_time=record.at * MICROSECOND,
        )
        if record.status >= 500:
            span.set_status(Status(StatusCode.ERROR, record.code))
        span.end((record.at + record.duration) * MICROSECOND)

    def flush(self) -> None:
        self._provider.force_flush()


def _caller(sent: str | None) -> SpanContext:
    trace = traceparent.parse(sent) if sent else None
    if trace is None:
        return SpanContext(0, 0, is_remote=True)
    flags = TraceFlags(TraceFlags.SAMPLED if trace.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(int(trace.trace, 16), int(trace.parent, 16), True, flags)


def _name(record: Record) -> str:
    about = record.service or record.route or "unknown address"
    return f"{record.kind} {about}" if record.service else f"{record.method} {about}"


def _attributes(record: Record) -> dict[str, AttributeValue]:
    known: dict[str, AttributeValue | None] = {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "url.path": record.path,
        "client.address": record.address,
        "latchkey.request_id": record.id,
        "latchkey.kind": record.kind,
        "latchkey.environment": record.environment,
        "latchkey.service": record.service,
        "latchkey.code": record.code,
        "latchkey.key_id": record.key,
    }
    return {name: value for name, value in known.items() if value}
