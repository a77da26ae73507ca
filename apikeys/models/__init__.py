"""The app's tables."""

from apikeys.models.events import (
    Action,
    AuditEvent,
    Event,
    PermissionAction,
    PermissionEvent,
    Source,
)
from apikeys.models.idempotency import IdempotentRequest
from apikeys.models.keys import ApiKey, CustomerScope, CustomPermission, KeyCustomer, Status
from apikeys.models.secret_versions import Pepper, SecretVersion

__all__ = [
    "Action",
    "ApiKey",
    "AuditEvent",
    "CustomPermission",
    "CustomerScope",
    "Event",
    "IdempotentRequest",
    "KeyCustomer",
    "Pepper",
    "PermissionAction",
    "PermissionEvent",
    "SecretVersion",
    "Source",
    "Status",
]
