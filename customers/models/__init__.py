"""The app's tables."""

from customers.models.customers import Customer, CustomerStatus
from customers.models.licenses import (
    Activation,
    License,
    LicenseQuerySet,
    LicenseStatus,
    StoredLicenseStatus,
)
from customers.models.telemetry import TelemetryEvent, TelemetryTotal

__all__ = [
    "Activation",
    "Customer",
    "CustomerStatus",
    "License",
    "LicenseQuerySet",
    "LicenseStatus",
    "StoredLicenseStatus",
    "TelemetryEvent",
    "TelemetryTotal",
]
