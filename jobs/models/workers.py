"""The workers that are running."""

from datetime import datetime
from typing import Self

from django.db import models
from django.utils import timezone

from database.uuid7 import new_id


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers by their last heartbeat."""

    def seen_since(self, timestamp: datetime) -> Self:
        return self.filter(seen_at__gte=timestamp)


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
