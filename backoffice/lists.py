"""What a list is held to, whatever an address or a form sends."""

from backoffice.filters import OwnFiltersOnly
from backoffice.search import BoundedSearch
from backoffice.selection import CheckedSelection


class CheckedList(OwnFiltersOnly, BoundedSearch, CheckedSelection):
    """A mixin for model admins."""
