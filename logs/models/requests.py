"""The request log: a narrow row to list and search, and a wide one with the content.

Only ``logs.stores`` writes rows. Ids are time-ordered, so the primary key is the order
of the list and the range that retention deletes. References have no database constraint: records
outlive customers, and checking costs more than writing.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q

from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.guard.isolation import narrowed_at, reached
from apikeys.models import ApiKey
from apikeys.models.keys import CUSTOMER
from apikeys.permissions import MAX_CODE_LENGTH
from database.uuid7 import first_id_at
from logs.capture.record import DECISION, MAX_HOST_LENGTH, REQUEST

SLOW_MICROSECONDS = 500_000
MAX_SERVICE_LENGTH = 40
MAX_PHASES_LENGTH = 80


class Kind(models.TextChoices):
    """Who answered a request: this API, or a service for which only a decision was made here."""

    REQUEST = REQUEST, "Request"
    DECISION = DECISION, "Decision"


class RequestLogQuerySet(models.QuerySet["RequestLog"]):
    """Requests by key, time and duration."""

    def visible_to(self, key: ApiKey) -> Self:
        return self.filter(key=key, environment=key.environment)

    def since(self, timestamp: datetime) -> Self:
        return self.filter(pk__gte=first_id_at(timestamp))

    def before(self, timestamp: datetime) -> Self:
        return self.filter(pk__lt=first_id_at(timestamp))

    def slow(self) -> Self:
        return self.filter(is_slow=True)

    def newest_first(self) -> Self:
        return self.order_by("-pk")


class RequestLog(models.Model):
    """One request under ``/api/``, or a decision about a request to a service."""

    id = models.UUIDField("request id", primary_key=True, editable=False)
    at = models.DateTimeField("time")
    environment = models.CharField(
        max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment, null=True
    )
    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="requests",
    )
    secret_version = models.PositiveIntegerField(null=True)
    customer: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        CUSTOMER,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    job_id = models.UUIDField("job", null=True)
    permission = models.CharField(max_length=MAX_CODE_LENGTH, null=True)
    method = models.CharField(max_length=32)
    path = models.CharField(max_length=2000)
    route = models.CharField(max_length=200, blank=True)
    query = models.CharField(max_length=4000, blank=True)
    status = models.PositiveSmallIntegerField()
    status_class = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40, blank=True)
    duration = models.PositiveBigIntegerField(help_text="In microseconds.")
    is_slow = models.BooleanField(default=False)
    request_bytes = models.PositiveBigIntegerField()
    response_bytes = models.PositiveBigIntegerField()
    address = models.CharField(max_length=45)
    user_agent = models.CharField(max_length=400, blank=True)
    kind = models.CharField(max_length=8, choices=Kind, db_default=Kind.REQUEST)
    # A name, not a reference: requests outlive services.
    service = models.CharField(max_length=MAX_SERVICE_LENGTH, null=True)
    host = models.CharField(max_length=MAX_HOST_LENGTH, null=True)
    # The key that asked for the decision; ``key`` is the one that was presented.
    caller: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    # Microseconds of each of ``logs.capture.record.PHASES``; null in older rows.
    phases = models.CharField(max_length=MAX_PHASES_LENGTH, null=True)
    # Of the ``traceparent`` that was sent: hexadecimal digits as those of a UUID, in 16 bytes.
    trace_id = models.UUIDField("trace", null=True)

    objects = RequestLogQuerySet.as_manager()

    # Whether the content is hidden from the calling key; set by ``mark_redacted_requests``.
    is_redacted = False

    class Meta:
        verbose_name = "request"
        default_permissions = ("view",)
        ordering = ["-id"]
        # Each serves one filter in the order of the list; see docs/decisions.md.
        indexes = [
            models.Index(fields=["environment", "-id"], name="request_by_environment"),
            models.Index(fields=["key", "-id"], name="request_by_key"),
            models.Index(
                fields=["customer", "-id"],
                name="request_by_customer",
                condition=Q(customer__isnull=False),
            ),
            models.Index(
                fields=["job_id", "-id"], name="request_by_job", condition=Q(job_id__isnull=False)
            ),
            models.Index(fields=["status_class", "-id"], name="request_by_status"),
            # Absent is null and not blank: SQLite cannot prove that ``service = ?`` implies
            # ``service <> ''``, and would not use the index.
            models.Index(
                fields=["service", "-id"],
                name="request_by_service",
                condition=Q(service__isnull=False),
            ),
            models.Index(
                fields=["trace_id", "-id"],
                name="request_by_trace",
                condition=Q(trace_id__isnull=False),
            ),
            # Not a partial index, for the same reason: no problem is blank here.
            models.Index(fields=["code", "-id"], name="request_by_code"),
            models.Index(fields=["method", "-id"], name="request_by_method"),
            models.Index(fields=["kind", "-id"], name="request_by_kind"),
            models.Index(fields=["address", "-id"], name="request_by_address"),
            models.Index(fields=["-id"], name="request_slow", condition=Q(is_slow=True)),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def trace(self) -> str | None:
        """The trace id as W3C Trace Context writes it."""
        return None if self.trace_id is None else self.trace_id.hex


def mark_redacted_requests(logs: Sequence[RequestLog], key: ApiKey) -> None:
    """Mark the requests that may hold something of a customer that ``key`` does not reach now.

    Those about one customer go by that; of a list or a batch only its time is known, so those
    from before the key was last narrowed are marked.
    """
    if not key.is_scoped:
        return
    customer_ids = {log.customer_id for log in logs if log.customer_id}
    rows = reached(key).filter(customer_id__in=customer_ids)
    reached_ids = set(rows.values_list("customer_id", flat=True))
    narrowed = narrowed_at(key)
    first = first_id_at(narrowed) if narrowed else None
    for log in logs:
        if log.customer_id:
            log.is_redacted = log.customer_id not in reached_ids
        else:
            log.is_redacted = first is not None and log.pk < first


class RequestContent(models.Model):
    """A request's headers and bodies, redacted and cut before they were written."""

    request = models.OneToOneField(
        RequestLog,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        primary_key=True,
        related_name="content",
    )
    request_headers = models.TextField()
    response_headers = models.TextField()
    request_body = models.TextField(blank=True)
    response_body = models.TextField(blank=True)
    is_request_cut = models.BooleanField(default=False)
    is_response_cut = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Content of {self.pk}"

    @staticmethod
    def headers(text: str) -> dict[str, str]:
        headers: dict[str, str] = json.loads(text)
        return headers
