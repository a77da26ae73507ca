"""Searches of bounded length: each word is a condition, and a database takes so many."""

from typing import Any

from django.http import HttpRequest

MAX_WORDS = 10
MAX_SEARCH_LENGTH = 200


class BoundedSearch:
    """Looks for the first words of what was typed."""

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        words = search_term[:MAX_SEARCH_LENGTH].split()[:MAX_WORDS]
        return super().get_search_results(request, queryset, " ".join(words))  # type: ignore[misc]
