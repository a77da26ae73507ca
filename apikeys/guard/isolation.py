"""Which rows a key may see: its environment's, and its customers' if it is scoped to some.

Every API view's queryset goes through ``visible_to``; nothing else decides this.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import Max
from django.http import Http404

from apikeys.guard.key_lookup import KEY_ID_MARK
from apikeys.guard.statements import Statement
from apikeys.models import ApiKey, CustomerScope
from apikeys.models.keys import customer_model
from audit.models import Event

# A change has its time before it commits, and by the clock of its own host: the longest
# transaction, and the skew between hosts' clocks that is permitted, together.
MAX_COMMIT_DELAY = timedelta(seconds=60)

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


def reached(key: ApiKey) -> Any:
    """Return a scoped key's scope as far as it reaches now: without suspended customers."""
    return key.scope.exclude(**_of_unreached_customers())


def narrowed_at(key: ApiKey) -> datetime | None:
    """Return since when a scoped key has reached no more than now; None if it always has.

    Known from the audit trail, which is written in the transaction of each change, and from
    the suspended customers of the scope. The change was in force on every host by then.
    """
    changes = Event.objects.about(key).filter(action="updated", changes__contains='"customers":')
    suspended = key.scope.filter(**_of_unreached_customers())
    times = (
        changes.aggregate(at=Max("created_at"))["at"],
        suspended.aggregate(at=Max("customer__updated_at"))["at"],
    )
    changed_at = max((at for at in times if at is not None), default=None)
    return None if changed_at is None else changed_at + MAX_COMMIT_DELAY


def _of_unreached_customers() -> dict[str, Any]:
    """Return the condition on a scope's rows; the customer's model says what it is."""
    conditions = customer_model().NOT_REACHED  # type: ignore[attr-defined]
    return {f"customer__{field}": value for field, value in conditions.items()}


class IsolatedQuerySet(models.QuerySet[M_co]):
    """A queryset of rows that have an environment and belong to a customer."""

    # The path from a row to its customer's id.
    customer_path: ClassVar[str] = "customer_id"

    def visible_to(self, key: ApiKey) -> Self:
        """Return the rows ``key`` may see; of a suspended customer a scoped key sees none.

        The scope is a subquery of the query that needs it, so a scoped key costs no query
        more; with no customer left the scope is empty, never wide.
        """
        return self._within(key, with_suspended=False)

    def in_scope_of(self, key: ApiKey) -> Self:
        """Return the rows in the scope of ``key``, those of suspended customers included."""
        return self._within(key, with_suspended=True)

    def _within(self, key: ApiKey, *, with_suspended: bool) -> Self:
        rows = self.filter(environment=key.environment)
        if key.is_scoped:
            scope: Any = key.scope.all() if with_suspended else reached(key)
            rows = rows.filter(**{f"{self.customer_path}__in": scope.values("customer_id")})
        return rows


ENVIRONMENT_MARK, ROW_MARK = "<environment>", UUID(int=1)


@cache
def _visible(model: Any, scope: CustomerScope, columns: tuple[str, ...]) -> Statement:
    # ``visible_to`` goes by these three alone.
    key = ApiKey(id=KEY_ID_MARK, environment=ENVIRONMENT_MARK, customer_scope=scope)
    rows = model.objects.visible_to(key).filter(pk=ROW_MARK).order_by()
    return Statement(rows.values_list(*columns), marks=(KEY_ID_MARK, ENVIRONMENT_MARK, ROW_MARK))


def visible_columns(
    model: type[models.Model], key: ApiKey, row_id: UUID, columns: tuple[str, ...]
) -> tuple[Any, ...]:
    """Return columns of a row that ``key`` may see, as ``Statement`` reads them, or raise 404."""
    scope = CustomerScope(key.customer_scope)
    rows = _visible(model, scope, columns).rows(key.pk, key.environment, row_id)
    if not rows:
        raise Http404
    return rows[0]
