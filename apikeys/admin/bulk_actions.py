"""Actions on the keys selected in the list, confirmed once and performed one by one."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from apikeys import lifecycle
from apikeys.audit import actor_of, clean_text
from apikeys.models import ApiKey
from apikeys.validation import MAX_REASON_LENGTH
from database.refusals import Refused

SHOWN = 100


class BulkActions:
    """Revoke and activate many."""

    admin_site: Any
    opts: Any
    message_user: Any

    @admin.action(description="Revoke selected keys", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        if "confirmed" not in request.POST:
            return self._confirm(request, queryset, "revoke_selected", asks_reason=True)
        reason = request.POST.get("reason", "")[:MAX_REASON_LENGTH]
        try:
            clean_text(reason, field="reason", longest=MAX_REASON_LENGTH)
        except Refused as refused:
            # Once, and not for each key.
            self.message_user(request, str(refused), messages.ERROR)
            seen = queryset.filter(pk__in=_seen(request.POST.get("seen", "")))
            return self._confirm(request, seen, "revoke_selected", asks_reason=True)
        return self._act_on(
            request,
            queryset,
            lambda key, _: lifecycle.revoke(key, actor=actor_of(request), reason=reason),
            "revoked",
        )

    @admin.action(description="Activate selected keys", permissions=["activate"])
    def activate_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        if "confirmed" not in request.POST:
            return self._confirm(request, queryset, "activate_selected", asks_reason=False)
        return self._act_on(
            request,
            queryset,
            lambda key, revision: lifecycle.activate(
                key, actor=actor_of(request), revision=revision
            ),
            "activated",
        )

    def _confirm(
        self, request: HttpRequest, keys: QuerySet[ApiKey], action: str, *, asks_reason: bool
    ) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": getattr(self, action).short_description,
            "opts": self.opts,
            "keys": keys[:SHOWN],
            "more": max(0, len(keys) - SHOWN),
            # In one field: Django takes a thousand, and an incident may be about more keys.
            "seen": " ".join(f"{key.pk}:{key.revision}" for key in keys),
            "action": action,
            "asks_reason": asks_reason,
            "reason": request.POST.get("reason", ""),
        }
        return TemplateResponse(request, "apikeys/confirm_selected.html", context)

    def _act_on(
        self, request: HttpRequest, keys: QuerySet[ApiKey], action: Any, done: str
    ) -> HttpResponse:
        count, revisions = 0, _seen(request.POST.get("seen", ""))
        for key in keys:
            if key.pk not in revisions:
                continue
            try:
                count += action(key, revisions[key.pk]) is not None
            except Refused as refused:
                self.message_user(request, f"{key}: {refused}", messages.ERROR)
        self.message_user(request, f"{count} {'key was' if count == 1 else 'keys were'} {done}.")
        return redirect(request.get_full_path())


def _seen(text: str) -> dict[str, int]:
    pairs = (word.partition(":") for word in text.split())
    return {
        key_id: int(revision)
        for key_id, _, revision in pairs
        if revision.isascii() and revision.isdecimal() and len(revision) <= 20
    }
