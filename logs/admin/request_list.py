"""The list of requests, of which each page looks at a bounded number of rows."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpRequest
from django.utils.functional import cached_property

from backoffice.changelists.pagination import MAX_COUNTED, KeysetChangeList
from database.uuid7 import first_id_at
from logs.stores import log_store
from logs.walks import Walk

# Read one by one, which takes some ten milliseconds.
MAX_NEWEST = 2000


class Newest(NamedTuple):
    """Id, time, status and code of the newest rows, and of one more if there are others."""

    rows: list[tuple[UUID, datetime, int, str]]
    ends_at: UUID | None = None

    @property
    def listed(self) -> list[tuple[UUID, datetime, int, str]]:
        return self.rows[:MAX_NEWEST]

    @property
    def is_whole(self) -> bool:
        return len(self.rows) <= MAX_NEWEST and self.ends_at is None

    def since(self, start: datetime) -> "Newest":
        first = first_id_at(start)
        rows = [row for row in self.rows if row[0] >= first]
        if len(rows) < len(self.rows) or (self.ends_at and self.ends_at < first):
            return Newest(rows)
        return Newest(rows, self.ends_at)


class RequestList(KeysetChangeList):
    """Looks for rows along one index; count and histogram are made of the same newest rows."""

    def walk(self, rows: Any, *, is_ascending: bool = False) -> Walk:
        return log_store().walk(rows, is_ascending=is_ascending)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.older is None and self.newer is None:
            rows = [(row.pk, row.at, row.status, row.code) for row in self.result_list]
            self.newest = Newest(rows)

    def count(self) -> tuple[int, UUID | None]:
        return min(len(self.newest.rows), MAX_COUNTED + 1), self.newest.ends_at

    @cached_property
    def newest(self) -> Newest:
        rows, ends_at = self.walk(self.queryset)
        columns = ("pk", "at", "status", "code")
        found = list(rows.values_list(*columns)[: MAX_NEWEST + 1])
        return Newest(found, ends_at if len(found) <= MAX_NEWEST else None)
