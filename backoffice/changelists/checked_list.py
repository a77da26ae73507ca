"""The checks on what a list accepts from URLs and forms."""

from backoffice.changelists.search import BoundedSearch
from backoffice.filters import OwnFiltersOnly
from backoffice.selection import CheckedSelection


class CheckedList(OwnFiltersOnly, BoundedSearch, CheckedSelection):
    """A mixin for model admins."""
