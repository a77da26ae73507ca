"""Keyset pagination for lists that are too long to count."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.http import HttpRequest
from unfold.views import ChangeList

from database.uuid7 import made_at

MAX_COUNTED = 1000
BEFORE, AFTER = "before-", "after-"


if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator


class KeysetPaginator(_Paginator):
    """Names the template that pages by id."""

    template_name = "backoffice/keyset_pagination.html"


class KeysetChangeList(ChangeList):
    """A change list, newest first, whose pages cost the same however deep."""

    # The id at which looking for rows of this page ended before the page was full.
    ends_at: UUID | None = None

    def walk(self, rows: Any, *, is_ascending: bool = False) -> tuple[Any, UUID | None]:
        """Return rows in the order of their ids, and the last id looked at if more follow."""
        return rows.order_by("pk" if is_ascending else "-pk"), None

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        position = request.GET.get(PAGE_VAR, "")
        page_rows, newer, older = self._page(position, size)
        is_first = not (_identifier(position, AFTER) or _identifier(position, BEFORE))
        # The only page says how many there are; to look again would cost the same again.
        is_only = is_first and len(page_rows) < size
        counted, end = (len(page_rows), self.ends_at) if is_only else self.count()
        self.counted = min(counted, MAX_COUNTED)
        self.is_more_than_counted = counted > MAX_COUNTED
        self.counted_since = made_at(end) if end and not self.is_more_than_counted else None
        self.result_list = page_rows
        self.result_count = self.full_result_count = counted
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = KeysetPaginator(page_rows, size)
        self.newer = self._link(AFTER, newer) if newer else None
        self.older = self._link(BEFORE, older) if older else None

    @property
    def looked_until(self) -> datetime | None:
        """The time at which looking for rows of this page ended."""
        return made_at(self.ends_at) if self.ends_at else None

    def count(self) -> tuple[int, UUID | None]:
        """Return how many rows there are, at most one more than ``MAX_COUNTED``, and the end."""
        rows, ends_at = self.walk(self.queryset)
        return len(rows.values_list("pk")[: MAX_COUNTED + 1]), ends_at

    def _page(self, position: str, size: int) -> tuple[list[Any], UUID | None, UUID | None]:
        """Return a page's rows, and the ids after and before which there are more."""
        after, before = _identifier(position, AFTER), _identifier(position, BEFORE)
        rows = self.queryset
        if after:
            rows = rows.filter(pk__gt=after)
        elif before:
            rows = rows.filter(pk__lt=before)
        rows, ends_at = self.walk(rows, is_ascending=bool(after))
        found = list(rows[: size + 1])
        page_rows = found[:size]
        first, last = (page_rows[0].pk, page_rows[-1].pk) if page_rows else (None, None)
        self.ends_at = ends_at if len(found) <= size else None
        following = last if len(found) > size else ends_at
        if after:
            return page_rows[::-1], following, first
        return page_rows, first if before else None, following

    def _link(self, direction: str, identifier: UUID) -> str:
        return str(self.get_query_string({PAGE_VAR: f"{direction}{identifier}"}))


def _identifier(position: str, direction: str) -> UUID | None:
    try:
        return UUID(position.removeprefix(direction)) if position.startswith(direction) else None
    except ValueError:
        return None
