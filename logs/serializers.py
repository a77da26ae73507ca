"""Serializers of the logs endpoints."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.guard.answers import RedactingSerializer
from apikeys.guard.serializers import PageQuery, TextField, TimestampField
from apikeys.problem_codes import CODES
from logs.models import Kind, RequestLog, RequestLogQuerySet

# The values in place of those that a redacted request hides.
REDACTED: dict[str, Any] = {
    "query": "",
    "request_headers": {},
    "response_headers": {},
    "request_body": "",
    "response_body": "",
}


class LogSerializer(RedactingSerializer):
    """A request as it is listed."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c40",
        "at": "2026-11-24T08:00:00Z",
        "environment": "production",
        "key": "4kQ9zTfB2mXe",
        "secret_version": 1,
        "customer": None,
        "job": None,
        "permission": "customers:read",
        "method": "GET",
        "path": "/api/production/v1/customers",
        "route": "customers",
        "query": "limit=1",
        "status": 200,
        "code": None,
        "duration_ms": 1.7,
        "request_bytes": 0,
        "response_bytes": 52,
        "address": "198.51.100.7",
        "user_agent": "python-httpx/0.28",
        "kind": "request",
        "service": None,
        "host": None,
        "caller": None,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "is_redacted": False,
    }

    key = serializers.CharField(source="key_id")
    customer = serializers.UUIDField(source="customer_id", allow_null=True)
    job = serializers.UUIDField(source="job_id", allow_null=True)
    code = serializers.SerializerMethodField()
    duration_ms = serializers.SerializerMethodField(help_text="Milliseconds.")
    kind = serializers.ChoiceField(
        Kind.choices,
        help_text="A request to this API, or a decision about a request to another service.",
    )
    service = serializers.CharField(
        allow_null=True, help_text="For which service it was decided, if one was named."
    )
    host = serializers.CharField(
        allow_null=True, help_text="Of a decision: the host to which the request was sent."
    )
    caller = serializers.CharField(
        source="caller_id", allow_null=True, help_text="The key that asked for the decision."
    )
    trace_id = serializers.CharField(
        source="trace", allow_null=True, help_text="Of the `traceparent` that was sent, if valid."
    )
    is_redacted = serializers.BooleanField(
        help_text="Whether it may hold something of a customer that the key does not reach now:"
        " its query, headers and bodies are then left out."
    )

    class Meta:
        model = RequestLog
        fields = [
            "id", "at", "environment", "key", "secret_version", "customer", "job", "permission",
            "method", "path", "route", "query", "status", "code", "duration_ms", "request_bytes",
            "response_bytes", "address", "user_agent", "kind", "service", "host", "caller",
            "trace_id", "is_redacted",
        ]  # fmt: skip

    def redact(self, data: dict[str, Any]) -> None:
        data |= {name: empty for name, empty in REDACTED.items() if name in data}

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_code(self, log: RequestLog) -> str | None:
        return log.code or None

    def get_duration_ms(self, log: RequestLog) -> float:
        return log.duration / 1000


class LogDetailSerializer(LogSerializer):
    """A request with its headers and bodies, as far as they are kept."""

    example: ClassVar = {
        **LogSerializer.example,
        "request_headers": {"Authorization": "Bearer lk_prod_4kQ9zTfB2mXe_***"},
        "response_headers": {"Content-Type": "application/json"},
        "request_body": "",
        "response_body": '{"data":[],"has_more":false,"next_cursor":null}',
        "is_request_body_cut": False,
        "is_response_body_cut": False,
    }

    request_headers = serializers.SerializerMethodField()
    response_headers = serializers.SerializerMethodField()
    request_body = serializers.CharField(source="content.request_body", default="")
    response_body = serializers.CharField(source="content.response_body", default="")
    is_request_body_cut = serializers.BooleanField(source="content.is_request_cut", default=False)
    is_response_body_cut = serializers.BooleanField(source="content.is_response_cut", default=False)

    class Meta(LogSerializer.Meta):
        fields = [
            *LogSerializer.Meta.fields,
            "request_headers", "response_headers", "request_body", "response_body",
            "is_request_body_cut", "is_response_body_cut",
        ]  # fmt: skip

    def get_request_headers(self, log: RequestLog) -> dict[str, str]:
        return log.content.headers(log.content.request_headers)

    def get_response_headers(self, log: RequestLog) -> dict[str, str]:
        return log.content.headers(log.content.response_headers)


class LogQuery(PageQuery):
    """What a list of requests can be narrowed by."""

    method = TextField(required=False)
    path = TextField(required=False, help_text="The whole path.")
    status = serializers.IntegerField(required=False, min_value=100, max_value=599)
    code = serializers.ChoiceField(sorted(CODES), required=False)
    kind = serializers.ChoiceField(Kind.values, required=False)
    service = TextField(required=False, help_text="Decisions for this service.")
    customer = serializers.UUIDField(required=False)
    trace_id = serializers.UUIDField(required=False, help_text="Requests of this trace.")
    after = TimestampField(required=False, help_text="At or after this time.")
    before = TimestampField(required=False, help_text="Before this time.")

    FILTERS = {
        "customer": "customer_id",
        "after": RequestLogQuerySet.since,
        "before": RequestLogQuerySet.before,
    }
