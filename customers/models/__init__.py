"""The app's tables."""

from customers.models.customers import Customer, CustomerAction, CustomerEvent, CustomerStatus
from customers.models.licenses import (
    Activation,
    License,
    LicenseAction,
    LicenseEvent,
    LicenseQuerySet,
    LicenseStatus,
    StoredLicenseStatus,
)
from customers.models.telemetry import TelemetryEvent, TelemetryTotal

__all__ = [
    "Activation",
    "Customer",
    "CustomerAction",
    "CustomerEvent",
    "CustomerStatus",
    "License",
    "LicenseAction",
    "LicenseEvent",
    "LicenseQuerySet",
    "LicenseStatus",
    "StoredLicenseStatus",
    "TelemetryEvent",
    "TelemetryTotal",
]
