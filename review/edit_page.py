"""The form that asks what is to change of the keys selected in the list.

It only makes the address of a proposed change, whose page shows the difference and changes nothing
before that is confirmed.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apikeys import catalogue
from apikeys.limits import WINDOWS
from database.refusals import Refused
from review.proposals import find_keys
from review.propose_page import way_back

CHANGE, NARROW = "apikeys.change_apikey", "apikeys.narrow_apikey"


def _offered(codes: Callable[[str], bool]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the permissions of the catalogue that ``codes`` says yes to, by resource."""
    return [
        (resource, offered)
        for resource, group in catalogue.by_resource().items()
        if (offered := [choice for choice in group if codes(choice[0])])
    ]


@require_safe
def edit(request: HttpRequest) -> HttpResponse:
    may = request.user.has_perm
    if not may("apikeys.view_apikey") or not (may(CHANGE) or may(NARROW)):
        raise PermissionDenied
    context: dict[str, Any] = {"title": "Change keys"}
    status = HTTPStatus.OK
    try:
        keys = find_keys(request.GET.getlist("key"))
    except Refused as refusal:
        context["refused"], status = str(refusal), HTTPStatus.BAD_REQUEST
    else:
        held = [set(key.permissions) for key in keys]
        context |= {
            "title": "Change 1 key" if len(keys) == 1 else f"Change {len(keys)} keys",
            "keys": keys,
            # Added is what not every key has, removed what some key has.
            "added": _offered(lambda code: code not in set.intersection(*held)),
            "removed": _offered(lambda code: code in set.union(*held)),
            "windows": WINDOWS,
            "may_widen": may(CHANGE),
        }
    context |= admin.site.each_context(request) | {
        "title": context["title"],
        "next": way_back(request),
    }
    return render(request, "review/edit.html", context, status=status)
