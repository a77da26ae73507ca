"""The page of the one search, and the part of it that the box shows while somebody types."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from backoffice.finding import registry, terms

TERM, PART = "q", "part"


def answer(request: HttpRequest, typed: str, page_context: Any) -> HttpResponse:
    """Open the page of the row whose id was typed; else show what fits."""
    term = terms.read(typed)
    groups = registry.search(request.user, term)
    if PART not in request.GET:
        exact = [found for group in groups for found in group.found if found.is_exact]
        if len(exact) == 1:
            return redirect(exact[0].address)
    context = {
        "term": term.text,
        "groups": groups,
        "finders": registry.finders_for(request.user),
        "newest": f"{registry.NEWEST:,}",
    }
    if PART in request.GET:
        response = render(request, "backoffice/search_results.html", context)
    else:
        response = render(request, "backoffice/search_page.html", page_context() | context)
    response["Cache-Control"] = "no-store"
    return response
