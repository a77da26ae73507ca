"""Which rows a key may see: its environment's, and its customers' if it is scoped to some.

Every API view's queryset goes through ``visible_to``; nothing else decides this.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from apikeys.models import ApiKey

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


class IsolatedQuerySet(models.QuerySet[M_co]):
    """A queryset of rows that have an environment and belong to a customer."""

    # The path from a row to its customer's id.
    customer_path: ClassVar[str] = "customer_id"

    def visible_to(self, key: "ApiKey") -> Self:
        """Return the rows ``key`` may see.

        The scope is a subquery of the query that needs it, so a scoped key costs no query
        more; with no customer left the scope is empty, never wide.
        """
        rows = self.filter(environment=key.environment)
        if key.is_scoped:
            scope: Any = key.scope.values("customer_id")
            rows = rows.filter(**{f"{self.customer_path}__in": scope})
        return rows
