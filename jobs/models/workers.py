"""The workers that are running."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.utils import timezone

from database.uuid7 import new_id

# A worker says that it lives every few seconds; three silences mean that it does not.
WORKER_SILENCE = timedelta(seconds=15)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers by their last heartbeat."""

    def seen_since(self, timestamp: datetime) -> Self:
        return self.filter(seen_at__gte=timestamp)

    def alive(self) -> Self:
        return self.seen_since(timezone.now() - WORKER_SILENCE)


class Worker(models.Model):
    """A worker process, which updates ``seen_at`` as its heartbeat."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
