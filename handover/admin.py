"""Links in the admin: made on the form of a new key and on a key's page, shown there, withdrawn.

The app of keys knows nothing of links, so its admin is registered anew here with what they add.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse

from apikeys.admin import KeyAdmin
from apikeys.admin.key_dialogs import may
from apikeys.models import ApiKey
from backoffice.dialogs import dialog_action, find
from backoffice.page_sections import Fact, page_facts, page_section
from handover import lifecycle
from handover.admin_forms import (
    HAND_OVER,
    CreateOrHandOverForm,
    HandOverDialog,
    WithdrawDialog,
)
from handover.lifecycle import Offer

VIEW = "apikeys.view_apikey"

admin.site.unregister(ApiKey)


@admin.register(ApiKey)
class HandedKeyAdmin(KeyAdmin):
    """Keys, whose credential can be handed over in the place of being shown."""

    actions_detail: tuple[str, ...] = (
        "clone",
        "regenerate",
        "regenerate_and_hand_over",
        "withdraw_hand_over",
        "revoke",
        "activate",
    )

    def has_hand_over_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        key = find(ApiKey, object_id)
        is_usable = key is None or not (key.is_revoked or key.is_expired())
        return may(request, "regenerate") and is_usable

    def has_withdraw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        key = find(ApiKey, object_id)
        is_pending = key is None or key.hand_over_id is not None
        return (may(request, "regenerate") or may(request, "revoke")) and is_pending

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        return super().get_form(request, obj, change, **kw) if obj else CreateOrHandOverForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if obj is not None:
            return sets
        about = (
            "For “Create and hand over”: you get a link instead of the key. The secret is made when"
            " the recipient confirms on the link's page, and is shown there alone."
        )
        link = {"fields": ["hand_over", "passphrase"], "description": about}
        return [*sets, ("Hand-over link", link)]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        buttons = {"other_saves": {HAND_OVER: "Create and hand over"}}
        return super().add_view(request, form_url, buttons | (extra_context or {}))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Answer a creation with the one page that shows the link, if the key is handed over."""
        if not isinstance(obj, Offer):
            return super().response_add(request, obj, post_url_continue)
        context = self.admin_site.each_context(request) | _offer_context(obj)
        context |= {"title": "API key created", "opts": self.opts}
        response = TemplateResponse(
            request, "handover/made_page.html", context, headers={"Cache-Control": "no-store"}
        )
        # Within the transaction: a link that cannot be shown is not made.
        return response.render()

    @dialog_action(
        HandOverDialog,
        label="Regenerate and hand over",
        title="Hand over {}",
        description="You get a link instead of the new key. The secret is made when the recipient"
        " confirms on the link's page, and is shown there alone. Until then the old key works.",
        permission="hand_over",
        icon="send",
    )
    def regenerate_and_hand_over(self, request: HttpRequest, offered: Offer) -> HttpResponse:
        """Show the link in the dialog's place."""
        page = render_to_string("handover/made_dialog.html", _offer_context(offered), request)
        whole = {"HX-Retarget": "#dialog", "HX-Reselect": "#dialog"}
        return HttpResponse(page, headers={"Cache-Control": "no-store", **whole})

    @dialog_action(
        WithdrawDialog,
        label="Withdraw hand-over",
        title="Withdraw the hand-over of {}",
        description="The link is good for nothing from now on. The key stays as it is.",
        permission="withdraw",
        icon="link_off",
        is_dangerous=True,
    )
    def withdraw_hand_over(self, request: HttpRequest, key: ApiKey) -> str:
        return f"The hand-over of {key} is withdrawn."


def _offer_context(offered: Offer) -> dict[str, Any]:
    return {"offered": offered, "key": offered.key, "hand_over": offered.hand_over}


@page_section(
    "apikey", "hand-over", "Hand-over", permission=VIEW, template="handover/pending.html",
    is_first=True,
)  # fmt: skip
def pending_link(request: HttpRequest, key: ApiKey) -> dict[str, Any]:
    return {"key": key, "hand_over": lifecycle.pending(key)}


@page_facts("apikey", "verdict", permission=VIEW)
def awaited(request: HttpRequest, key: ApiKey) -> Iterator[Fact]:
    if key.is_awaiting:
        yield Fact("It has no secret yet, and authenticates nothing", is_bad=True)
