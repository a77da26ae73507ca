"""The page that dismisses a finding of selected keys, and the answer to bringing some back.

The page carries the keys' revisions, signed: a key that has changed since is refused, and with it
all of them.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from apikeys.models import ApiKey
from apikeys.validation import MAX_REASON_LENGTH
from audit.actors import actor_of
from database.refusals import Conflict, Refused
from database.timestamps import duration
from review import findings, lifecycle, proposals
from review.findings import Finding
from review.queue_pages import VIEW, may_dismiss, way_back
from review.selection import selected_ids

SALT = "review.dismissal"
MAX_AGE = timedelta(hours=12)
PERIODS = {"30d": "30 days", "90d": "90 days", "180d": "180 days", "365d": "A year"}
USUAL = "90d"


@require_http_methods(["GET", "POST"])
def dismiss(request: HttpRequest) -> HttpResponse:
    finding = _finding(request)
    refused, status = "", HTTPStatus.OK
    if request.method == "POST":
        try:
            count = _apply(request, finding)
        except Refused as refusal:
            refused = str(refusal)
            status = (
                HTTPStatus.CONFLICT if isinstance(refusal, Conflict) else HTTPStatus.BAD_REQUEST
            )
        else:
            dismissed = "1 finding is" if count == 1 else f"{count} findings are"
            messages.success(request, f"{dismissed} dismissed.")
            return HttpResponseRedirect(way_back(request, finding))
    return _show(request, finding, refused, status)


@require_POST
def bring_back(request: HttpRequest) -> HttpResponse:
    finding = _finding(request)
    with transaction.atomic():
        # In one order, or two such requests could wait for each other.
        keys = ApiKey.objects.filter(pk__in=request.POST.getlist("key")).order_by("pk")
        count = sum(lifecycle.bring_back(key, finding, actor=actor_of(request)) for key in keys)
    back = "1 finding is" if count == 1 else f"{count} findings are"
    messages.success(request, f"{back} back in the queue.")
    return HttpResponseRedirect(way_back(request, finding))


def _finding(request: HttpRequest) -> Finding:
    if not request.user.has_perms(VIEW) or not may_dismiss(request):
        raise PermissionDenied
    finding = findings.BY_NAME.get(request.GET.get("finding") or request.POST.get("finding", ""))
    if finding is None:
        raise Http404
    return finding


def _show(request: HttpRequest, finding: Finding, refused: str, status: HTTPStatus) -> HttpResponse:
    rows: list[tuple[ApiKey, str]] = []
    now = timezone.now()
    try:
        keys = proposals.find_keys(selected_ids(request.GET))
        found = list(finding.keys(now).filter(pk__in=[key.pk for key in keys]))
        sentences = finding.tell(found, now)
        rows = [(key, sentences[key.pk]) for key in found]
    except Refused as refusal:
        refused, status = refused or str(refusal), status if refused else HTTPStatus.BAD_REQUEST
    title = f"Dismiss {len(rows)} finding{'' if len(rows) == 1 else 's'}"
    context: dict[str, Any] = admin.site.each_context(request) | {
        "title": title if rows else "Dismiss findings",
        "finding": finding,
        "rows": rows,
        "refused": refused,
        "shown": signing.dumps([(key.pk, key.revision) for key, _ in rows], salt=SALT),
        "periods": PERIODS.items(),
        "period": request.POST.get("until", USUAL),
        "reason": request.POST.get("reason", ""),
        "max_reason_length": MAX_REASON_LENGTH,
        "next": way_back(request, finding),
    }
    return render(request, "review/dismiss.html", context, status=status)


def _apply(request: HttpRequest, finding: Finding) -> int:
    """Dismiss the finding of the keys that were shown; return how many they are."""
    try:
        shown = signing.loads(request.POST.get("shown", ""), salt=SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        raise Conflict(
            "This page is too old or was altered. Select the keys in the queue again."
        ) from None
    until = timezone.now() + duration(request.POST.get("until", ""))
    with transaction.atomic():
        for key_id, revision in sorted(shown):
            lifecycle.dismiss(
                ApiKey.objects.get(pk=key_id),
                finding,
                reason=request.POST.get("reason", ""),
                until=until,
                actor=actor_of(request),
                revision=revision,
            )
    return len(shown)
