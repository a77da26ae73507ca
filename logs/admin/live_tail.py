"""The live tail of the list of requests: the rows that came since the list was opened.

A request that took long is stored after younger ones, so some seconds before the newest row that
the page has are looked at again; the page knows the rows that it has already.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from unfold.views import ChangeList

from database.uuid7 import first_id_at, made_at

MAX_NEW_ROWS = 50
OVERLAP = timedelta(seconds=5)


def newer_than(request: HttpRequest) -> UUID | None:
    """Return the id after which a request asks for rows; None if it asks for a page."""
    return getattr(request, "newer_than", None)


class NewerRequests(ChangeList):
    """A change list of the rows after an id, newest first, which counts nothing."""

    def get_results(self, request: HttpRequest) -> None:
        after = newer_than(request)
        assert after is not None
        floor = first_id_at(made_at(after) - OVERLAP)
        rows = self.queryset.filter(pk__gt=floor).order_by("-pk")
        self.ids: list[UUID] = list(rows.values_list("pk", flat=True)[:MAX_NEW_ROWS])
        # Read only if there is something new.
        self.result_list: Any = rows.filter(pk__in=self.ids)
        self.result_count = self.full_result_count = len(self.ids)
        self.show_full_result_count = self.show_admin_actions = False
        self.formset = None
        self.can_show_all = self.multi_page = False

    @property
    def tag(self) -> str:
        """Return what changes as soon as there is another row."""
        return f"{len(self.ids)}-{self.ids[0]}" if self.ids else "0"
