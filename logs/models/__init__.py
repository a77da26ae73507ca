"""The app's tables."""

from logs.models.positions import SpoolPosition
from logs.models.requests import Kind, RequestContent, RequestLog, RequestLogQuerySet
from logs.models.usage import BUCKETS, HourlyUsage, PermissionUse

__all__ = [
    "BUCKETS",
    "HourlyUsage",
    "Kind",
    "PermissionUse",
    "RequestContent",
    "RequestLog",
    "RequestLogQuerySet",
    "SpoolPosition",
]
