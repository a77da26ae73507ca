"""What a key may do: each view names the permission of each of its methods."""

from collections.abc import Iterable
from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys.guard.authentication import challenge
from apikeys.guard.context import RequestContext, context_of
from apikeys.guard.problems import Problem
from apikeys.models import ApiKey, CustomerScope
from apikeys.permissions import Permission, label

# What a view says of a method that every valid key may use.
ANY_KEY: Final = "any key"


class HasRequiredPermission(BasePermission):
    """Refuses a key that lacks what the view names, and any method the view names nothing for."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True or raise the 403; the answer is the same whether or not the object exists."""
        method = request.method or ""
        require_declared(view, method, view.kwargs["environment"], context_of(request))
        return True


def require_declared(view: Any, method: str, environment: str, context: RequestContext) -> None:
    """Raise the 403 unless the key has what ``view``, an instance or its class, needs."""
    required = getattr(view, "required_permissions", {}).get(method)
    if required != ANY_KEY:
        require(required, environment, context)


def require(required: str | None, environment: str, context: RequestContext) -> None:
    """Raise the 403 unless the key of the request has the permission; None is had by no key."""
    if not required or context.key is None or not context.key.may(required):
        raise denial(environment, required)
    context.permission = required


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


def denial(environment: str, required: str | None) -> Problem:
    """Return the 403 that names the permission (RFC 6750 §3.1, ``insufficient_scope``)."""
    if not required:
        return Problem("permission_denied", "No key may do this. Check the method and the path.")
    code = str(required)
    return Problem(
        "permission_denied",
        f"The key lacks {label(code)}. Ask an administrator to grant {code}.",
        headers={
            "WWW-Authenticate": challenge(environment, error="insufficient_scope", scope=code)
        },
        required_permission=code,
    )
