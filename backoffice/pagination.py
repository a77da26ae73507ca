"""Keyset pagination for lists that are too long to count."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.http import HttpRequest
from unfold.views import ChangeList

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

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        position = request.GET.get(PAGE_VAR, "")
        rows = self.queryset.order_by("-pk")
        page_rows, has_newer, has_older = self._page(rows, position, size)
        counted = len(self.queryset.order_by("-pk").values_list("pk")[: MAX_COUNTED + 1])
        self.counted = min(counted, MAX_COUNTED)
        self.is_more_than_counted = counted > MAX_COUNTED
        self.result_list = page_rows
        self.result_count = self.full_result_count = counted
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = KeysetPaginator(page_rows, size)
        self.newer = self._link(AFTER, page_rows[0].pk) if page_rows and has_newer else None
        self.older = self._link(BEFORE, page_rows[-1].pk) if page_rows and has_older else None

    def _page(self, rows: Any, position: str, size: int) -> tuple[list[Any], bool, bool]:
        """Return a page's rows, and whether there are newer and older ones."""
        if identifier := _identifier(position, AFTER):
            page_rows = list(rows.filter(pk__gt=identifier).order_by("pk")[: size + 1])
            return page_rows[:size][::-1], len(page_rows) > size, True
        if identifier := _identifier(position, BEFORE):
            page_rows = list(rows.filter(pk__lt=identifier)[: size + 1])
            return page_rows[:size], True, len(page_rows) > size
        page_rows = list(rows[: size + 1])
        return page_rows[:size], False, len(page_rows) > size

    def _link(self, direction: str, identifier: UUID) -> str:
        return str(self.get_query_string({PAGE_VAR: f"{direction}{identifier}"}))


def _identifier(position: str, direction: str) -> UUID | None:
    try:
        return UUID(position.removeprefix(direction)) if position.startswith(direction) else None
    except ValueError:
        return None
