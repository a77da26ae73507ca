"""Read-only model admins."""

from typing import Any

from django.http import HttpRequest


class ReadOnlyAdmin:
    """A mixin for model admins without add, change and delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
