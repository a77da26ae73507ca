"""The page that shows a proposed change as a difference, and applies it once it is confirmed.

The page carries what it showed, signed: what is applied is that and nothing that was worked out
anew, and a key that has changed since is refused. All keys are changed in one transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from apikeys import lifecycle, validation
from apikeys.credentials import KEY_ID
from apikeys.models import ApiKey
from apikeys.texts import clean_text
from apikeys.validation import MAX_REASON_LENGTH, KeyFields
from audit.actors import actor_of
from backoffice import proofs
from database.refusals import Conflict, ProofRequired, Refused
from review import proposals
from review.proposals import Difference, Proposal
from review.selection import selected_ids

SALT = "review.proposal"
MAX_AGE = timedelta(hours=12)


@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("apikeys.view_apikey"):
        raise PermissionDenied
    refused, proof, status = "", "", HTTPStatus.OK
    if request.method == "POST":
        proofs.take(request)
        try:
            count = _apply(request)
        except Refused as refusal:
            refused = str(refusal)
            proof = proofs.fields(request) if isinstance(refusal, ProofRequired) else ""
            status = (
                HTTPStatus.CONFLICT if isinstance(refusal, Conflict) else HTTPStatus.BAD_REQUEST
            )
        else:
            changed = "1 key was" if count == 1 else f"{count} keys were"
            messages.success(request, f"{changed} changed.")
            return HttpResponseRedirect(way_back(request))
    return _show(request, refused, status, proof)


def _show(request: HttpRequest, refused: str, status: HTTPStatus, proof: str = "") -> HttpResponse:
    context: dict[str, Any] = {
        "refused": refused,
        "proof": proof,
        "max_reason_length": MAX_REASON_LENGTH,
    }
    try:
        proposal = proposals.parse(request.GET)
        found = proposals.differences(proposal, proposals.find_keys(selected_ids(request.GET)))
        if denial := _denial(request, proposal, found):
            context["refused"], status = denial, HTTPStatus.FORBIDDEN
        else:
            context |= _context(request, proposal, found)
    except Refused as refusal:
        context["refused"], status = str(refusal), HTTPStatus.BAD_REQUEST
    context |= admin.site.each_context(request) | {
        "title": context.get("title", "Change keys"),
        "next": way_back(request),
    }
    return render(request, "review/propose.html", context, status=status)


def _context(
    request: HttpRequest, proposal: Proposal, found: Sequence[Difference]
) -> dict[str, Any]:
    changed = [difference for difference in found if difference.lines]
    count = "1 key" if len(changed) == 1 else f"{len(changed)} keys"
    return {
        "title": f"Revoke {count}" if proposal.revokes else f"Change {count}",
        "revokes": proposal.revokes,
        "changed": changed,
        "unchanged": [difference.key for difference in found if not difference.lines],
        "widening": sum(difference.widens for difference in changed),
        "shown": signing.dumps(
            [_shown(difference, revokes=proposal.revokes) for difference in changed],
            salt=SALT,
            compress=True,
        ),
        "reason": request.POST.get("reason", proposal.reason),
    }


def _shown(difference: Difference, *, revokes: bool) -> dict[str, Any]:
    settings = dict(difference.settings)
    expires_at = settings.get("expires_at")
    if expires_at is not None:
        settings["expires_at"] = expires_at.isoformat()
    key = difference.key
    return {"key": key.pk, "revision": key.revision, "revokes": revokes, "settings": settings}


def _denial(request: HttpRequest, proposal: Proposal, found: Sequence[Difference]) -> str:
    """Return why the person may not do this; blank if they may."""
    may = request.user.has_perm
    if proposal.revokes:
        if may("apikeys.revoke_apikey"):
            return ""
        return "Your account may not revoke keys. Ask a key administrator or operator."
    if may("apikeys.change_apikey"):
        return ""
    if not may("apikeys.narrow_apikey"):
        return "Your account may not change keys. Ask a key administrator for this change."
    try:
        for difference in found:
            validation.refuse_widening(difference.key, difference.settings)
    except Refused as refusal:
        return str(refusal)
    return ""


def _apply(request: HttpRequest) -> int:
    """Change the keys as it was shown; return how many they are."""
    try:
        shown = signing.loads(request.POST.get("shown", ""), salt=SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        raise Conflict(
            "This page is too old or was altered. Check the difference again and confirm it."
        ) from None
    reason = request.POST.get("reason", "")
    # Before any key: it would be refused for each.
    clean_text(reason, field="reason", longest=MAX_REASON_LENGTH)
    with transaction.atomic():
        # In one order, or two such pages could wait for each other.
        for change in sorted(shown, key=lambda change: str(change["key"])):
            key = ApiKey.objects.get(pk=change["key"])
            try:
                _change(request, key, change, reason)
            except Refused as refusal:
                raise type(refusal)(f"{key}: {refusal}") from None
    return len(shown)


def _change(request: HttpRequest, key: ApiKey, change: dict[str, Any], reason: str) -> None:
    may, actor, revision = request.user.has_perm, actor_of(request), change["revision"]
    if change["revokes"]:
        if not may("apikeys.revoke_apikey"):
            raise PermissionDenied
        lifecycle.revoke(key, actor=actor, reason=reason, revision=revision)
        return
    settings = dict(change["settings"])
    if settings.get("expires_at"):
        settings["expires_at"] = datetime.fromisoformat(settings["expires_at"])
    fields = cast(KeyFields, settings)
    if may("apikeys.change_apikey"):
        lifecycle.update(key, actor=actor, revision=revision, reason=reason, **fields)
    elif may("apikeys.narrow_apikey"):
        lifecycle.narrow(key, actor=actor, revision=revision, reason=reason, **fields)
    else:
        raise PermissionDenied


def way_back(request: HttpRequest) -> str:
    """Return where the person came from, within this admin; else the key, or the list."""
    asked = request.POST.get("next") or request.GET.get("next")
    referrer = request.headers.get("Referer", "")
    came_from = asked or (referrer if urlsplit(referrer).path != request.path else "")
    if came_from and url_has_allowed_host_and_scheme(
        came_from, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        parts = urlsplit(came_from)
        # One slash alone: a path that begins with two would name another host.
        path = f"/{parts.path.lstrip('/')}"
        return f"{path}?{parts.query}" if parts.query else path
    keys = request.GET.getlist("key")
    if len(keys) == 1 and KEY_ID.fullmatch(keys[0]):
        return reverse("admin:apikeys_apikey_change", args=keys)
    return reverse("admin:apikeys_apikey_changelist")
