"""Actions on the keys selected in the list, confirmed once and performed one by one."""

from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.models import ApiKey
from apikeys.texts import clean_text
from apikeys.validation import MAX_CHANGED, MAX_REASON_LENGTH
from audit.actors import actor_of
from backoffice import proofs
from database.refusals import ProofRequired, Refused

SHOWN = 100


class Bulk(NamedTuple):
    """An action on many keys; ``before`` and ``after`` say of a key what it is then."""

    action: str
    verb: str
    before: str
    after: str
    is_for_revoked: bool


REVOKE = Bulk("revoke_selected", "Revoke", "active or expired", "revoked", is_for_revoked=False)
ACTIVATE = Bulk("activate_selected", "Activate", "revoked", "not revoked", is_for_revoked=True)


class BulkActions:
    """Revoke and activate many."""

    admin_site: Any
    opts: Any
    message_user: Any

    @admin.action(description="Change selected keys", permissions=["change"])
    def change_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        """Ask what is to change; the difference is shown before anything does."""
        ids = list(queryset.values_list("pk", flat=True)[: MAX_CHANGED + 1])
        if len(ids) > MAX_CHANGED:
            self.message_user(
                request,
                f"More than {MAX_CHANGED} keys are selected. Select fewer, and the rest after.",
                messages.ERROR,
            )
            return None
        query = urlencode({"key": ids, "next": request.get_full_path()}, doseq=True)
        return redirect(f"{reverse('admin:apikeys_apikey_edit')}?{query}")

    @admin.action(description="Revoke selected keys", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        if "confirmed" not in request.POST:
            return self._confirm(request, queryset, REVOKE)
        reason = request.POST.get("reason", "")[:MAX_REASON_LENGTH]
        try:
            clean_text(reason, field="reason", longest=MAX_REASON_LENGTH)
        except Refused as refused:
            # Once, and not for each key.
            self.message_user(request, str(refused), messages.ERROR)
            seen = queryset.filter(pk__in=_seen(request.POST.get("seen", "")))
            return self._confirm(request, seen, REVOKE)
        return self._act_on(
            request,
            queryset,
            lambda key, _: lifecycle.revoke(key, actor=actor_of(request), reason=reason),
            "revoked",
        )

    @admin.action(description="Activate selected keys", permissions=["activate"])
    def activate_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        if "confirmed" not in request.POST:
            return self._confirm(request, queryset, ACTIVATE)
        proofs.take(request)
        return self._act_on(
            request,
            queryset,
            lambda key, revision: lifecycle.activate(
                key, actor=actor_of(request), revision=revision
            ),
            "activated",
        )

    def _confirm(
        self,
        request: HttpRequest,
        selected: QuerySet[ApiKey],
        bulk: Bulk,
        *,
        needs_proof: bool = False,
    ) -> HttpResponse | None:
        """Ask once more about the keys for which there is something to do."""
        rows = list(selected)
        keys = [key for key in rows if key.is_revoked == bulk.is_for_revoked]
        done = len(rows) - len(keys)
        if not keys:
            self.message_user(
                request,
                f"None of the keys selected is {bulk.before}. Select others.",
                messages.WARNING,
            )
            return None
        counts = Counter(key.environment for key in keys)
        number = f"{len(keys):,} key{'' if len(keys) == 1 else 's'}"
        context = self.admin_site.each_context(request) | {
            "title": f"{bulk.verb} {number}",
            "opts": self.opts,
            "environments": [
                (environment.label, counts[environment.value])
                for environment in Environment
                if counts[environment.value]
            ],
            "keys": keys[:SHOWN],
            "more": max(0, len(keys) - SHOWN),
            "left_out": done,
            "after": bulk.after,
            # In one field: Django takes a thousand, and an incident may be about more keys.
            "seen": " ".join(f"{key.pk}:{key.revision}" for key in keys),
            "action": bulk.action,
            "is_revoking": bulk is REVOKE,
            "proof": proofs.fields(request) if needs_proof else "",
            "reason": request.POST.get("reason", ""),
        }
        return TemplateResponse(request, "apikeys/confirm_selected.html", context)

    def _act_on(self, request: HttpRequest, keys: QuerySet[ApiKey], action: Any, done: str) -> Any:
        count, revisions = 0, _seen(request.POST.get("seen", ""))
        unproved: list[str] = []
        for key in keys:
            if key.pk not in revisions:
                continue
            try:
                count += action(key, revisions[key.pk]) is not None
            except ProofRequired as refused:
                if not unproved:
                    self.message_user(request, str(refused), messages.ERROR)
                unproved.append(key.pk)
            except Refused as refused:
                self.message_user(request, f"{key}: {refused}", messages.ERROR)
        if unproved:
            return self._confirm(request, keys.filter(pk__in=unproved), ACTIVATE, needs_proof=True)
        self.message_user(request, f"{count} {'key was' if count == 1 else 'keys were'} {done}.")
        return redirect(request.get_full_path())


def _seen(text: str) -> dict[str, int]:
    pairs = (word.partition(":") for word in text.split())
    return {
        key_id: int(revision)
        for key_id, _, revision in pairs
        if revision.isascii() and revision.isdecimal() and len(revision) <= 20
    }
