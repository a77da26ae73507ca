"""The app's tables."""

from apikeys.models.events import Act, Door, Event
from apikeys.models.idempotency import IdempotentRequest
from apikeys.models.keys import ApiKey, CustomerScope, KeyCustomer, SecretVersion, Status
from apikeys.models.peppers import Pepper

__all__ = [
    "Act",
    "ApiKey",
    "CustomerScope",
    "Door",
    "Event",
    "IdempotentRequest",
    "KeyCustomer",
    "Pepper",
    "SecretVersion",
    "Status",
]
