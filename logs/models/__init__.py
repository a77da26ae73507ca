"""The app's tables."""

from logs.models.positions import SpoolPosition
from logs.models.requests import RequestContent, RequestLog, RequestLogQuerySet
from logs.models.usage import BUCKETS, HourlyUsage, PermissionUse

__all__ = [
    "BUCKETS",
    "HourlyUsage",
    "PermissionUse",
    "RequestContent",
    "RequestLog",
    "RequestLogQuerySet",
    "SpoolPosition",
]
