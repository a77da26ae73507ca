"""How far a list of requests is looked through: along one index, and only so far.

Each filter has an index in the order of ids. With two filters a database reads the rows of one and
keeps those that fit the other, and where the other is rare, or the two never meet, it reads
millions. So the filter with the fewest rows is found by a bounded count in each index, and after
``MAX_WALKED`` of its rows the walk ends and says where.
"""

from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.lookups import Exact, Range

from logs.models import RequestLog

MAX_WALKED = 30_000
# The fields by which there is an index in the order of ids.
INDEXED = {
    "environment", "key", "customer", "job_id", "status_class", "service", "code", "method",
    "kind", "address", "is_slow", "trace_id",
}  # fmt: skip
# Of these the index holds ids alone.
BY_ID = {"is_slow"}


class Walk(NamedTuple):
    """Rows to read along one index; ``ends_at`` is the last id looked at where more follow."""

    rows: "QuerySet[RequestLog]"
    ends_at: UUID | None


class _Unindexed(Exact):
    """Equality for which SQLite uses no index."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        sql, params = super().as_sql(compiler, connection)
        return f"+{sql}", params


def walk(rows: "QuerySet[RequestLog]", *, is_ascending: bool = False) -> Walk:
    """Return the rows of a list in the order of their ids, so that few others are looked at."""
    rows = rows.order_by("pk" if is_ascending else "-pk")
    indexed, ranges, others = _conditions(rows)
    if rows.query.is_empty() or (len(indexed) < 2 and not others):
        return Walk(rows, None)
    ends: list[tuple[UUID, Any]] = []
    for condition in indexed or [None]:
        end = _end(rows, [*ranges, condition] if condition else ranges)
        if end is None:
            return Walk(_along(rows, condition, indexed, is_ascending=is_ascending), None)
        ends.append((end, condition))
    # All have many rows: the one whose rows reach furthest has the fewest.
    choose = max if is_ascending else min
    end, condition = choose(ends, key=lambda pair: pair[0])
    within = rows.filter(pk__lte=end) if is_ascending else rows.filter(pk__gte=end)
    return Walk(_along(within, condition, indexed, is_ascending=is_ascending), end)


def _conditions(rows: "QuerySet[RequestLog]") -> tuple[list[Any], list[Any], list[Any]]:
    """Return equalities that have an index, ranges of ids, and other conditions.

    What is excluded is none of them: those rows are few.
    """
    indexed: list[Any] = []
    ranges: list[Any] = []
    others: list[Any] = []
    for condition in rows.query.where.children:
        field: Any = getattr(getattr(condition, "lhs", None), "target", None)
        if isinstance(condition, Exact) and field is not None and field.name in INDEXED:
            indexed.append(condition)
        elif field is not None and field.primary_key:
            ranges.append(condition)
        elif not getattr(condition, "negated", False):
            others.append(condition)
    return indexed, ranges, others


def _end(rows: "QuerySet[RequestLog]", conditions: list[Any]) -> UUID | None:
    """Return the id at which a walk by the conditions ends; None if it comes to all rows."""
    ids = rows.select_related(None).prefetch_related(None).values_list("pk", flat=True)
    ids.query.where = ids.query.where.create(conditions)
    last = list(ids[MAX_WALKED - 1 : MAX_WALKED + 1])
    return last[0] if len(last) > 1 else None


def _along(
    rows: "QuerySet[RequestLog]", condition: Any, indexed: list[Any], *, is_ascending: bool
) -> "QuerySet[RequestLog]":
    """Have the database walk the index of a condition.

    SQLite knows of an index only the average. PostgreSQL knows which values are frequent, and
    not which meet: it would look through all rows by their id for two that never do.
    """
    rows = rows.all()
    children: list[Any] = rows.query.where.children
    if connection.vendor == "sqlite":
        for place, child in enumerate(children):
            if child in indexed and child is not condition:
                children[place] = _Unindexed(child.lhs, child.rhs)
    elif condition is not None and condition.lhs.target.name not in BY_ID:
        # To PostgreSQL a range may hold several values, which only this index has in this order.
        children[children.index(condition)] = Range(condition.lhs, [condition.rhs, condition.rhs])
        column = condition.lhs.target.attname
        rows = rows.order_by(*((f"-{column}", "pk") if is_ascending else (column, "-pk")))
    return rows
