"""Every change to a key, from whichever source.

Each function locks the key's row, checks, writes and records its audit event in one transaction.
The guard reads the row on every request, so a change takes effect with the next request.
"""

from apikeys.lifecycle.hand_overs import expire, is_pending, offer, take, withdraw
from apikeys.lifecycle.issuing import (
    MAX_ACCEPTED_SECRETS,
    MAX_OVERLAP,
    IssuedKey,
    current_version,
    regenerate,
)
from apikeys.lifecycle.keys import (
    activate,
    create,
    create_awaiting,
    forget_customer,
    narrow,
    revoke,
    update,
)

__all__ = [
    "MAX_ACCEPTED_SECRETS",
    "MAX_OVERLAP",
    "IssuedKey",
    "activate",
    "create",
    "create_awaiting",
    "current_version",
    "expire",
    "forget_customer",
    "is_pending",
    "narrow",
    "offer",
    "regenerate",
    "revoke",
    "take",
    "update",
    "withdraw",
]
