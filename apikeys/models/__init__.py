"""The app's tables."""

from apikeys.models.idempotency import IdempotentRequest
from apikeys.models.keys import ApiKey, CustomerScope, CustomPermission, KeyCustomer, Status
from apikeys.models.secret_versions import Pepper, SecretVersion

__all__ = [
    "ApiKey",
    "CustomPermission",
    "CustomerScope",
    "IdempotentRequest",
    "KeyCustomer",
    "Pepper",
    "SecretVersion",
    "Status",
]
