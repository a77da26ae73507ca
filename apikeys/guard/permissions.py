"""What a key may do: each view names the permission of each of its methods."""

from collections.abc import Iterable
from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys.guard.authentication import challenge
from apikeys.guard.context import context_of
from apikeys.guard.problems import Problem
from apikeys.models import ApiKey, CustomerScope
from apikeys.permissions import Permission

# What a view says of a method that every valid key may use.
ANY_KEY: Final = "any key"


class HasRequiredPermission(BasePermission):
    """Refuses a key that lacks what the view names, and any method the view names nothing for."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True or raise the 403; the answer is the same whether or not the object exists."""
        required = getattr(view, "required_permissions", {}).get(request.method)
        context = context_of(request)
        key = context.key
        if required == ANY_KEY:
            return True
        if required and key is not None and key.may(required):
            context.permission = required
            return True
        raise denial(view.kwargs["environment"], required)


def require_permissions(key: ApiKey, permissions: Iterable[Permission]) -> None:
    for permission in permissions:
        if not key.may(permission):
            raise denial(key.environment, permission)


def scope_denial(environment: str, required: Permission | str) -> Problem:
    """Return the 403 for a key that reaches selected customers where it takes one for all."""
    return Problem(
        "permission_denied",
        "The key reaches selected customers only, and this takes one for all customers."
        " Use a key for all customers.",
        headers={"WWW-Authenticate": challenge(environment, error="insufficient_scope")},
        required_permission=str(required),
        required_customer_scope=CustomerScope.ALL.value,
    )


def denial(environment: str, required: Permission | None) -> Problem:
    """Return the 403 that names the permission (RFC 6750 §3.1, ``insufficient_scope``)."""
    if required is None:
        return Problem("permission_denied", "No key may do this. Check the method and the path.")
    return Problem(
        "permission_denied",
        f"The key lacks {required.label}. Ask an administrator to grant {required.value}.",
        headers={
            "WWW-Authenticate": challenge(
                environment, error="insufficient_scope", scope=required.value
            )
        },
        required_permission=required.value,
    )
