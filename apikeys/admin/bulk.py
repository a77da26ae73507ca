"""Acts on the keys ticked in the list: asked once more, then done one by one."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from apikeys import lifecycle
from apikeys.admin.actors import actor_of
from apikeys.models import ApiKey
from apikeys.rules import LONGEST_REASON, Refused


class BulkActs:
    """Revoke and activate many."""

    admin_site: Any
    opts: Any
    message_user: Any

    @admin.action(description="Revoke selected keys", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        """Ask for the reason, then revoke each."""
        if "confirmed" not in request.POST:
            return self._confirm(request, queryset, "revoke_selected", asks_reason=True)
        reason = request.POST.get("reason", "")[:LONGEST_REASON]
        return self._act_on(
            request,
            queryset,
            lambda key: lifecycle.revoke(key, actor=actor_of(request), reason=reason),
            "revoked",
        )

    @admin.action(description="Activate selected keys", permissions=["activate"])
    def activate_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> Any:
        """Ask, then activate each."""
        if "confirmed" not in request.POST:
            return self._confirm(request, queryset, "activate_selected", asks_reason=False)
        revisions = dict(pair.split(":") for pair in request.POST.getlist("revision"))
        return self._act_on(
            request,
            queryset,
            lambda key: lifecycle.activate(
                key, actor=actor_of(request), revision=int(revisions.get(key.pk, 0))
            ),
            "activated",
        )

    def _confirm(
        self, request: HttpRequest, keys: QuerySet[ApiKey], act: str, *, asks_reason: bool
    ) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": getattr(self, act).short_description,
            "opts": self.opts,
            "keys": keys,
            "act": act,
            "asks_reason": asks_reason,
        }
        return TemplateResponse(request, "latchkey/confirm_selected.html", context)

    def _act_on(
        self, request: HttpRequest, keys: QuerySet[ApiKey], act: Any, done: str
    ) -> HttpResponse:
        count = 0
        for key in keys:
            try:
                count += act(key) is not None
            except Refused as refused:
                self.message_user(request, f"{key}: {refused}", messages.ERROR)
        self.message_user(request, f"{count} {'key was' if count == 1 else 'keys were'} {done}.")
        return redirect(request.get_full_path())
