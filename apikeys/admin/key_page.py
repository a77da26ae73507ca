"""The key's page in tabs, each at an address of its own; only the one that is shown is computed.

What a tab holds beside the key's own rows are sections, which the other apps register.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.db.models import Value
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apikeys import catalogue
from apikeys.admin.key_list import STATUS_COLOURS
from apikeys.audited import Action
from apikeys.environments import Environment
from apikeys.guard import throttling
from apikeys.limiter.store import CountersUnavailable
from apikeys.limits import LIMIT_FIELDS, WINDOWS
from apikeys.models import ApiKey
from audit.models import Event
from backoffice.columns import ago, timestamp
from backoffice.page_sections import (
    OVERVIEW,
    Fact,
    facts_of,
    page_section,
    sections_of,
    tabs_of,
)
from database.fields import CaselessName

SETTINGS, SECRETS = "settings", "secrets"
TABS = {
    OVERVIEW: "Overview",
    SETTINGS: "Settings",
    SECRETS: "Secrets",
    "requests": "Requests",
    "jobs": "Jobs",
    "audit": "Audit",
}
SHOWN_EVENTS = 50
SHOWN_CUSTOMERS = 10
SHOWN_NAMESAKES = 3


class KeyPage:
    """A mixin for the model admin: the change view in tabs."""

    admin_site: Any
    opts: Any
    get_object: Any
    has_view_or_change_permission: Any
    actions_detail: Any
    get_actions_detail: Any
    _get_actions_navigation: Any

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        context = {**(extra_context or {})}
        if key is not None:
            if not self.has_view_or_change_permission(request, key):
                raise PermissionDenied
            context |= self._page(request, key)
            if context["tab"] != SETTINGS:
                return self._section_page(request, key, context)
        view = super().change_view  # type: ignore[misc]
        response: HttpResponse = view(request, object_id, form_url, context)
        return response

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Tell beside each limit and permission how it is used."""
        form, key = context["adminform"].form, context.get("key")
        if key is not None and "permissions" in form.fields:
            form.fields["permissions"].widget.remarks = dict(facts_of(request, key, "unused"))
        if key is not None and LIMIT_FIELDS[0] in form.fields:
            for field, text in limit_use(request, key).items():
                form[field].help_text = f"{text} {form[field].help_text}"
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the page and in the tab."""
        return HttpResponseRedirect(f"{request.path}?{_address(request, SETTINGS)}")

    def _page(self, request: HttpRequest, key: ApiKey) -> dict[str, Any]:
        held = {OVERVIEW, SETTINGS, SECRETS} | tabs_of(request, key)
        tabs = {name: label for name, label in TABS.items() if name in held}
        tab = request.GET.get("tab", "")
        # Only the settings are a form.
        tab = SETTINGS if request.method == "POST" else tab if tab in tabs else OVERVIEW
        return {
            "title": key.name,
            "subtitle": TABS[tab],
            "save_label": "Save changes",
            "key": key,
            "tab": tab,
            "tabs": [
                {"label": label, "address": f"?{_address(request, name)}", "is_shown": name == tab}
                for name, label in tabs.items()
            ],
        }

    def _own_part(self, request: HttpRequest, key: ApiKey, tab: str) -> dict[str, Any]:
        now = timezone.now()
        if tab == SECRETS:
            seen = dict(facts_of(request, key, "secrets"))
            secrets = [(secret, seen.get(secret.number)) for secret in key.secrets.all()]
            return {"secrets": secrets, "has_requests": bool(seen), "now": now}
        if tab != OVERVIEW:
            return {}
        (labelled,) = catalogue.with_labels([key])
        return {
            "key": labelled,
            "status_colour": STATUS_COLOURS[str(key.status.label)],
            "verdict": [*verdict(key, now), *facts_of(request, key, "verdict")],
            "limits": [
                f"{limit:,} per {window.name}"
                + (" (default)" if getattr(key, window.field) is None else "")
                for window, limit in zip(WINDOWS, key.limits, strict=True)
            ],
            "customers": key.customers.all()[:SHOWN_CUSTOMERS] if key.is_scoped else [],
        }

    def _section_page(
        self, request: HttpRequest, key: ApiKey, context: dict[str, Any]
    ) -> HttpResponse:
        buttons = self.get_actions_detail(request, key.pk)
        context = self.admin_site.each_context(request) | context
        context |= {
            "opts": self.opts,
            "original": key,
            "object": key,
            "actions_detail": self._get_actions_navigation(self.actions_detail, buttons, key.pk),
            **self._own_part(request, key, context["tab"]),
            "sections": sections_of(request, key, context["tab"]),
        }
        return TemplateResponse(request, "apikeys/key_page.html", context)


def same_name(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Answer the form of a new key: which keys of the environment have its name already.

    So that a form sent once more after going back does not make another one without a word.
    """
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    name, environment = (request.GET.get(field, "") for field in ("name", "environment"))
    caseless = CaselessName(Value(name.strip().replace("\0", "")))
    named = ApiKey.objects.alias(caseless=CaselessName("name")).filter(
        caseless=caseless, environment=environment
    )
    keys = named[:SHOWN_NAMESAKES] if name.strip() and environment in Environment else []
    return render(request, "apikeys/same_name.html", {"keys": keys})


def verdict(key: ApiKey, now: datetime) -> Iterator[Fact]:
    """Tell what the guard would say of the key, and what the key itself says of its use."""
    if key.last_used_at is None:
        used = Fact("Never used")
    else:
        used = Fact(format_html("Last used {}", ago(key.last_used_at)))
    if key.is_revoked:
        yield from (Fact(_revocation(key), "?tab=audit", is_bad=True), used)
        return
    if key.expires_at is None:
        yield Fact("Never expires", f"?tab={SETTINGS}")
    elif key.is_expired(now):
        yield Fact(format_html("Expired {}", ago(key.expires_at)), is_bad=True)
    else:
        yield Fact(format_html("Expires {}", ago(key.expires_at)), f"?tab={SETTINGS}")
    if blocked := [
        window.name for window, limit in zip(WINDOWS, key.limits, strict=True) if not limit
    ]:
        yield Fact(f"Blocked by a limit of 0 per {blocked[0]}", f"?tab={SETTINGS}", is_bad=True)
    if not key.permissions:
        yield Fact("No permission is granted", f"?tab={SETTINGS}", is_bad=True)
    yield used


def _revocation(key: ApiKey) -> SafeString:
    """Return by whom, when and why the key was revoked."""
    event = Event.objects.about(key).filter(action=Action.REVOKED).first()
    return format_html(
        "Revoked{} on {}, {}{}",
        f" by {event.actor_name}" if event else "",
        timestamp(key.revoked_at),
        ago(key.revoked_at),
        f": {event.reason}" if event and event.reason else "",
    )


def limit_use(request: HttpRequest, key: ApiKey) -> dict[str, str]:
    """Return by a limit's field what of it is used now, and its peak, as far as both are known."""
    peaks = dict(facts_of(request, key, "peaks"))
    try:
        remaining = throttling.remaining(throttling.peek(key))
    except CountersUnavailable:
        remaining = {}
    said = {}
    for window, limit in zip(WINDOWS, key.limits, strict=True):
        used = [f"{limit - remaining[window.name]:,} of {limit:,} used now."] if remaining else []
        if peak := peaks.get(window.name):
            used.append(f"Busiest {window.name} of the last 30 days: {peak:,}.")
        said[window.field] = " ".join(used)
    return said


def _address(request: HttpRequest, tab: str) -> str:
    """Return the query of a tab, which keeps the filters of the list that the page came from."""
    kept = request.GET.get("_changelist_filters")
    return urlencode({"tab": tab} | ({"_changelist_filters": kept} if kept else {}))


@page_section(
    "apikey", "audit", "Audit trail", permission="audit.view_event",
    template="backoffice/timeline.html", tab="audit",
)  # fmt: skip
def audit_trail(request: HttpRequest, key: ApiKey) -> dict[str, Any]:
    events = Event.objects.about(key)
    return {"title": "Audit trail", "events": events[:SHOWN_EVENTS]}
