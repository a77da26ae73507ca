"""The review queue: a page for each finding, whose keys are selected for a proposed change."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe

from apikeys.validation import MAX_CHANGED
from review import findings
from review.findings import FINDINGS, Finding, Remedy
from review.models import Dismissal

PER_PAGE = 50
VIEW = ("apikeys.view_apikey", "logs.view_requestlog")
CHANGE, NARROW = "apikeys.change_apikey", "apikeys.narrow_apikey"
# Who may do a remedy: a permission of the staff that is enough.
ENOUGH = {"revoke": ("apikeys.revoke_apikey",), "remove_unused": (CHANGE, NARROW)}


@require_safe
def queue(request: HttpRequest, name: str = FINDINGS[0].name) -> HttpResponse:
    if not request.user.has_perms(VIEW):
        raise PermissionDenied
    now = timezone.now()
    finding = findings.BY_NAME.get(name)
    if finding is None:
        raise Http404
    is_dismissed = request.GET.get("dismissed") == "1"
    keys = finding.dismissed_keys(now) if is_dismissed else finding.keys(now)
    page = Paginator(keys, PER_PAGE).get_page(request.GET.get("page"))
    known = {} if is_dismissed else {name: page.paginator.count}
    numbers = findings.counts(now, known)
    rows = list(page.object_list)
    sentences = finding.tell(rows, now)
    dismissals = Dismissal.objects.until_after(name, now)
    context = admin.site.each_context(request) | {
        "title": f"Review: {finding.label.lower()}",
        "finding": finding,
        "queues": [(other, f"{numbers[other.name]:,}") for other in FINDINGS],
        "page": page,
        "rows": [(key, sentences[key.pk]) for key in rows],
        "remedies": [] if is_dismissed else offered(request, finding.remedies),
        "may_dismiss": may_dismiss(request),
        "is_dismissed": is_dismissed,
        "dismissed": finding.dismissed_keys(now).count() if dismissals.exists() else 0,
        "max_keys": MAX_CHANGED,
    }
    if is_dismissed:
        by_key = {one.key_id: one for one in dismissals.filter(key__in=rows)}
        context["rows"] = [(key, sentences[key.pk], by_key[key.pk]) for key in rows]
        return render(request, "review/dismissed.html", context)
    return render(request, "review/queue.html", context)


def may_dismiss(request: HttpRequest) -> bool:
    """Who may take rights from a key may also say that it keeps them for a while."""
    return any(map(request.user.has_perm, (CHANGE, NARROW)))


def way_back(request: HttpRequest, finding: Finding) -> str:
    """Return where the person came from, within this admin; else the queue of the finding."""
    asked = request.POST.get("next") or request.GET.get("next", "")
    if asked.startswith("/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None):
        return asked
    return reverse("admin:review_finding", args=[finding.name])


def offered(request: HttpRequest, remedies: tuple[Remedy, ...]) -> list[Any]:
    """Return the remedies that the person may confirm."""
    may = request.user.has_perm
    return [
        remedy
        for remedy in remedies
        if any(may(permission) for permission in ENOUGH.get(remedy.parameter, (CHANGE,)))
    ]
