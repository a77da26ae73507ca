"""Keys and their history in the admin."""

from apikeys.admin.events import EventAdmin
from apikeys.admin.keys import KeyAdmin

__all__ = ["EventAdmin", "KeyAdmin"]
