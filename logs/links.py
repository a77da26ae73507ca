"""Addresses of the request log that list exactly what a number counts."""

from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse


def since(timestamp: datetime) -> str:
    """Return the part of an address that names the requests since a time, for ``TimeFilter``."""
    return urlencode({"at_from_0": f"{timestamp:%Y-%m-%d}", "at_from_1": f"{timestamp:%H:%M}"})


def requests_since(timestamp: datetime, **filters: str) -> str:
    address = reverse("admin:logs_requestlog_changelist")
    return f"{address}?{urlencode(filters)}&{since(timestamp)}"
