"""The app's tables."""

from apikeys.models.events import Action, AuditEvent, Event, Source
from apikeys.models.idempotency import IdempotentRequest
from apikeys.models.keys import ApiKey, CustomerScope, KeyCustomer, SecretVersion, Status
from apikeys.models.peppers import Pepper

__all__ = [
    "Action",
    "ApiKey",
    "AuditEvent",
    "CustomerScope",
    "Event",
    "IdempotentRequest",
    "KeyCustomer",
    "Pepper",
    "SecretVersion",
    "Source",
    "Status",
]
