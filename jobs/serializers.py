"""Serializers of the jobs endpoints."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.guard.answers import RedactingSerializer
from apikeys.guard.problems import ErrorList, FieldErrors
from apikeys.guard.serializers import (
    ObjectField,
    PageQuery,
    StrictSerializer,
    TextField,
    validated,
)
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from customers.models import Customer
from database.suggestions import suggestion
from jobs.models import Job, JobAttempt, JobStatus
from jobs.registry import JobType, job_types, type_permissions


class AttemptSerializer(serializers.ModelSerializer[JobAttempt]):
    """One try at a job."""

    class Meta:
        model = JobAttempt
        fields = ["number", "started_at", "finished_at", "error"]


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a job is."""

    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()


class JobSerializer(RedactingSerializer):
    """A job as it is answered."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c45",
        "environment": "production",
        "key": "4kQ9zTfB2mXe",
        "type": "customers.export",
        "status": "running",
        "reason": "",
        "progress": {"done": 200, "total": 1000, "message": "200 of 1000 customers"},
        "attempt": 1,
        "max_attempts": 3,
        "has_file": False,
        "is_redacted": False,
        "request_id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c40",
        "queued_at": "2026-11-24T08:00:00Z",
        "run_at": "2026-11-24T08:00:00Z",
        "started_at": "2026-11-24T08:00:01Z",
        "finished_at": None,
        "cancel_requested_at": None,
    }

    key = serializers.CharField(source="key_id")
    status = serializers.ChoiceField(JobStatus.choices)
    progress = serializers.SerializerMethodField()
    has_file = serializers.SerializerMethodField(help_text="Whether `result` can be downloaded.")
    is_redacted = serializers.BooleanField(
        help_text="Whether the job is about a customer that the key does not reach now: its"
        " parameters, result and messages are then left out."
    )

    class Meta:
        model = Job
        fields = [
            "id", "environment", "key", "type", "status", "reason", "progress", "attempt",
            "max_attempts", "has_file", "is_redacted", "request_id", "queued_at", "run_at",
            "started_at", "finished_at", "cancel_requested_at",
        ]  # fmt: skip

    def redact(self, data: dict[str, Any]) -> None:
        data |= {"reason": "", "has_file": False}
        data["progress"]["message"] = ""

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, job: Job) -> dict[str, Any]:
        return {"done": job.done, "total": job.total, "message": job.message}

    def get_has_file(self, job: Job) -> bool:
        return job.status == JobStatus.SUCCEEDED and bool(job.file_name)


class JobDetailSerializer(JobSerializer):
    """A job with its parameters, its result and its attempts."""

    example: ClassVar = {
        **JobSerializer.example,
        "params": {"status": "active"},
        "result": None,
        "attempts": [
            {"number": 1, "started_at": "2026-11-24T08:00:01Z", "finished_at": None, "error": ""}
        ],
    }

    params = ObjectField()
    result = ObjectField(allow_null=True)
    attempts = AttemptSerializer(many=True)

    class Meta(JobSerializer.Meta):
        fields = [*JobSerializer.Meta.fields, "params", "result", "attempts"]

    def redact(self, data: dict[str, Any]) -> None:
        super().redact(data)
        data |= {"params": {}, "result": None}
        for attempt in data["attempts"]:
            attempt["error"] = ""


class JobInput(StrictSerializer):
    """What is to be done."""

    example: ClassVar = {"type": "customers.export", "params": {"status": "active"}}

    type = TextField(max_length=50, help_text="One of the types that the guide lists.")
    params = ObjectField(required=False, max_bytes=1_048_576)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = job_types().get(attrs["type"])
        if kind is None:
            meant = suggestion(attrs["type"], sorted(job_types()))
            raise FieldErrors([("type", f"There is no such job type. {meant}")])
        return {"kind": kind, "params": check_params(kind, attrs.get("params", {}))}


def body_permissions(body: Any) -> tuple[Permission, ...]:
    name = body.get("type") if isinstance(body, dict) else None
    return type_permissions(name) if isinstance(name, str) else ()


def check_params(kind: JobType, params: dict[str, Any]) -> dict[str, Any]:
    """Return a type's validated parameters in JSON's types; raise the 400 for errors."""
    errors = ErrorList()
    try:
        values = validated(kind.params, params)
    except serializers.ValidationError as error:
        errors.add_details(error.detail, "params")
    errors.raise_any()
    checked: dict[str, Any] = _plain(values)
    return checked


def check_customers(key: ApiKey, params: dict[str, Any]) -> list[UUID]:
    """Return the customers in the parameters ``customer`` and ``customers``; raise the 400."""
    by_field = {"params.customer": params["customer"]} if params.get("customer") else {}
    for number, text in enumerate(params.get("customers", ())):
        by_field[f"params.customers[{number}]"] = text
    customer_ids = {UUID(text) for text in by_field.values()}
    visible_ids = set(
        Customer.objects.visible_to(key).filter(pk__in=customer_ids).values_list("pk", flat=True)
    )
    errors = ErrorList()
    for field, text in by_field.items():
        if UUID(text) not in visible_ids:
            errors.add(field, "There is no such customer. Check its id.")
    errors.raise_any()
    return sorted(visible_ids)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    return value if isinstance(value, str | int | float | bool | None) else str(value)


class JobQuery(PageQuery):
    """What a list of jobs can be narrowed by."""

    type = TextField(required=False)
    status = serializers.ChoiceField(JobStatus.choices, required=False)
    customer = serializers.UUIDField(
        required=False, help_text="Jobs that name the customer, or whose key was scoped to it."
    )

    FILTERS = {"customer": "customers"}
