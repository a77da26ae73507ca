"""Hourly usage and the last use of permissions, which stay when logs are pruned."""

from typing import Any

from django.db import models

from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.models import ApiKey
from apikeys.permissions import MAX_CODE_LENGTH
from logs.models.requests import MAX_SERVICE_LENGTH

# Upper bounds of the duration histogram, in microseconds; the last bucket has none.
BOUNDS = tuple(500 * 2**power for power in range(15))
BUCKETS = tuple(f"bucket_{number}" for number in range(len(BOUNDS) + 1))


class HourlyUsage(models.Model):
    """A key's requests in an hour and environment; without a key, unauthenticated requests.

    Decisions for a service are counted apart, under its name.
    """

    hour = models.DateTimeField()
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    # Not a reference: blank stands for requests whose secret matched no key.
    key_id = models.CharField(max_length=12, blank=True)
    # Blank: requests to this API, and decisions that name no service.
    service = models.CharField(max_length=MAX_SERVICE_LENGTH, blank=True, db_default="")
    requests = models.PositiveBigIntegerField(default=0)
    succeeded = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)
    limited = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    # The duration histogram; the names are BUCKETS.
    bucket_0 = models.PositiveBigIntegerField(default=0)
    bucket_1 = models.PositiveBigIntegerField(default=0)
    bucket_2 = models.PositiveBigIntegerField(default=0)
    bucket_3 = models.PositiveBigIntegerField(default=0)
    bucket_4 = models.PositiveBigIntegerField(default=0)
    bucket_5 = models.PositiveBigIntegerField(default=0)
    bucket_6 = models.PositiveBigIntegerField(default=0)
    bucket_7 = models.PositiveBigIntegerField(default=0)
    bucket_8 = models.PositiveBigIntegerField(default=0)
    bucket_9 = models.PositiveBigIntegerField(default=0)
    bucket_10 = models.PositiveBigIntegerField(default=0)
    bucket_11 = models.PositiveBigIntegerField(default=0)
    bucket_12 = models.PositiveBigIntegerField(default=0)
    bucket_13 = models.PositiveBigIntegerField(default=0)
    bucket_14 = models.PositiveBigIntegerField(default=0)
    bucket_15 = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["key_id", "hour", "environment", "service"], name="usage_once_an_hour"
            )
        ]
        indexes = [
            models.Index(fields=["hour"], name="usage_by_hour"),
            models.Index(fields=["service", "hour"], name="usage_by_service"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id or 'no key'} {self.hour:%Y-%m-%d %H}:00"


class DailyPeak(models.Model):
    """The busiest minute of a key's day (UTC), and the count of the newest, which goes on.

    Calendar minutes: those of the limiter roll, so a peak there may be higher.
    """

    key_id = models.CharField(max_length=12)
    day = models.DateField()
    busiest = models.PositiveBigIntegerField()
    minute = models.PositiveSmallIntegerField()
    requests = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key_id", "day"], name="peak_once_a_day")]
        indexes = [models.Index(fields=["day"], name="peak_by_day")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.day}"


class PermissionUse(models.Model):
    """When a key last used a permission."""

    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, db_index=False, related_name="permission_uses"
    )
    permission = models.CharField(max_length=MAX_CODE_LENGTH)
    last_used_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "permission"], name="permission_use_once")
        ]

    def __str__(self) -> str:
        return f"{self.permission} by {self.key_id}"
