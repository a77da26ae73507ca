"""Searches of bounded length: each word is a condition, and a database takes so many."""

from typing import Any

from django.http import HttpRequest

MOST_WORDS = 10
LONGEST_SEARCH = 200


class BoundedSearch:
    """Looks for the first words of what was typed."""

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Return what fits, and whether rows may be there twice."""
        words = search_term[:LONGEST_SEARCH].split()[:MOST_WORDS]
        return super().get_search_results(request, queryset, " ".join(words))  # type: ignore[misc]
