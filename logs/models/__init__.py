"""The app's tables."""

from logs.models.networks import KeyNetwork
from logs.models.positions import SpoolPosition
from logs.models.requests import Kind, RequestContent, RequestLog, RequestLogQuerySet
from logs.models.usage import BUCKETS, DailyPeak, HourlyUsage, PermissionUse

__all__ = [
    "BUCKETS",
    "DailyPeak",
    "HourlyUsage",
    "KeyNetwork",
    "Kind",
    "PermissionUse",
    "RequestContent",
    "RequestLog",
    "RequestLogQuerySet",
    "SpoolPosition",
]
