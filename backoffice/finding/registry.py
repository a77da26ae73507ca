"""What the one search looks through: an app registers its rows, with the permission to see them.

Answers come within a tenth of a second however many rows there are, so a finder reads by an index,
or a bounded number of the newest rows.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from backoffice.finding.terms import Term
from database.fields import CaselessName

SHOWN = 5
# One more than is shown: so it is known whether there are more.
MAX_FOUND = SHOWN + 1
# How many of the newest rows are searched for names that hold the term, not at their beginning.
NEWEST = 20_000


class Found(NamedTuple):
    """A row that fits: what people read of it, and whether the term is its id."""

    row: Any
    text: str
    detail: str = ""
    is_exact: bool = False

    @property
    def address(self) -> str:
        return reverse(admin_urlname(self.row._meta, SafeString("change")), args=(self.row.pk,))


Find = Callable[[Term], Iterable[Found]]


class Finder(NamedTuple):
    """Looks for rows of one kind."""

    label: str
    # By what the rows are found: "name or key id".
    by: str
    permission: str
    find: Find


class Group(NamedTuple):
    """The rows of one kind that fit a term."""

    label: str
    found: list[Found]
    is_cut: bool = False
    # The list that finds them all; blank where it would find none.
    address: str = ""


_finders: list[Finder] = []


def finder(label: str, by: str, *, permission: str) -> Callable[[Find], Find]:
    """Register a function that finds rows for those who have ``permission``."""

    def register(find: Find) -> Find:
        _finders.append(Finder(label, by, permission, find))
        return find

    return register


def finders_for(user: Any) -> list[Finder]:
    return [one for one in _finders if user.has_perm(one.permission)]


def search(user: Any, term: Term) -> list[Group]:
    """Return what fits by kind; the kinds with a row whose id is the term come first."""
    groups = []
    for one in finders_for(user) if term.text else ():
        found: dict[Any, Found] = {}
        for row in one.find(term):
            found.setdefault(row.row.pk, row)
        if found:
            rows = list(found.values())
            is_cut = len(rows) > SHOWN
            groups.append(
                Group(one.label, rows[:SHOWN], is_cut, _list_of(rows, term) if is_cut else "")
            )
    return sorted(groups, key=lambda group: not group.found[0].is_exact)


def _list_of(found: list[Found], term: Term) -> str:
    """Return the address of the list that the term narrows to these rows, and maybe others.

    Lists search names for each word, and SQLite tells no more than the case of ASCII apart.
    """
    words = [re.compile(re.escape(word), re.ASCII | re.IGNORECASE) for word in term.text.split()]
    if not all(all(word.search(one.text) for word in words) for one in found):
        return ""
    address = reverse(admin_urlname(found[0].row._meta, SafeString("changelist")))
    return f"{address}?{urlencode({'q': term.text})}"


def by_id(rows: QuerySet[Any], term: Term) -> list[Any]:
    """Return the rows whose UUID is the term, or begins with it."""
    return list(rows.filter(pk__range=term.ids).order_by("-pk")[:MAX_FOUND]) if term.ids else []


def by_name(rows: QuerySet[Any], term: Term, *, order: str, field: str = "name") -> list[Any]:
    """Return the rows whose name begins with the term, then newest ones that hold it.

    ``order`` is an indexed column, newest first: ``-created_at``. The model needs an index on
    ``CaselessName`` of the field.
    """
    named = rows.alias(caseless=CaselessName(field))
    # In the index's order: in any other, all that fit would be sorted for the first few.
    first = list(named.filter(caseless__begins_with=term.text).order_by("caseless")[:MAX_FOUND])
    if len(first) == MAX_FOUND:
        return first
    column = order.removeprefix("-")
    newest = rows.order_by(order)
    floor = list(newest.values_list(column, flat=True)[NEWEST : NEWEST + 1])
    bounded = newest.filter(**{f"{column}__gte": floor[0]}) if floor else newest
    known = [row.pk for row in first]
    more = bounded.filter(**{f"{field}__icontains": term.text}).exclude(pk__in=known)
    return first + list(more[: MAX_FOUND - len(first)])
