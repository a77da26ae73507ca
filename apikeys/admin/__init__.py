"""Keys and the catalogue of permissions in the admin."""

from apikeys.admin.keys import KeyAdmin
from apikeys.admin.permissions import PermissionAdmin

__all__ = ["KeyAdmin", "PermissionAdmin"]
