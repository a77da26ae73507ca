"""Links in the admin: made, shown once, seen on the key's page, withdrawn."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from apikeys import lifecycle as keys
from apikeys.models import ApiKey, Status
from audit.models import Event
from tests.apikeys.test_admin import client_of, create, dialog
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_staff
from tests.support.hand_overs import PASSPHRASE, Recipient, offer

pytestmark = pytest.mark.django_db

LINK = re.compile(r"http://127\.0\.0\.1:8000/handover/[0-9A-Za-z]{43}")


@pytest.fixture
def staff() -> Client:
    return client_of(make_staff("Key administrator"))


def link_in(page: Any) -> str:
    (link,) = set(LINK.findall(page.text))
    return str(link)


def key_page(staff: Client, key: ApiKey) -> str:
    return str(staff.get(reverse("admin:apikeys_apikey_change", args=(key.pk,))).text)


def test_create_and_hand_over_shows_a_link_once_and_no_key(staff: Client) -> None:
    page = create(staff, name="Partner", _hand_over="", passphrase=PASSPHRASE)

    key = ApiKey.objects.get()
    link = link_in(page)
    assert key.status is Status.AWAITING
    assert "lk_" not in page.text.replace(key.pk, "")
    assert "no-store" in page["Cache-Control"]
    assert Recipient().confirms(link, PASSPHRASE).status_code == 200
    kept = str(list(Session.objects.values())) + str(staff.cookies)
    assert link.rpartition("/")[2] not in kept + key_page(staff, key)


def test_create_alone_shows_the_key_and_makes_no_link(staff: Client) -> None:
    page = create(staff, name="Own")

    assert "lk_dev_" in page.text
    assert not LINK.search(page.text)
    assert ApiKey.objects.get().status is Status.ACTIVE


@pytest.mark.parametrize(
    "typed", [{"hand_over": ""}, {"hand_over": "0"}, {"hand_over": "169"}, {"passphrase": "short"}]
)
def test_terms_that_cannot_be_are_said_beside_the_field(
    staff: Client, typed: dict[str, str]
) -> None:
    page = create(staff, name="Partner", _hand_over="", **typed)

    assert page.context["adminform"].form.errors.keys() == typed.keys()
    assert PASSPHRASE not in page.text
    assert not ApiKey.objects.exists()


def test_the_form_sent_again_makes_neither_a_key_nor_a_link(staff: Client) -> None:
    page = staff.get(reverse("admin:apikeys_apikey_add"))
    ticket = page.context["adminform"].form["ticket"].value()

    first, second = (create(staff, ticket=ticket, _hand_over="") for _ in range(2))

    assert LINK.search(first.text)
    assert not LINK.search(second.text)
    assert ApiKey.objects.count() == 1


def test_regenerate_and_hand_over_shows_a_link_in_the_dialog(staff: Client) -> None:
    old = issue()

    page = dialog(staff, "regenerate_and_hand_over", old.key, overlap="3600")

    assert Caller(old).get("key").status_code == 200
    assert Recipient().confirms(link_in(page)).status_code == 200
    assert Caller(old).get("key").status_code == 200
    assert old.key.secrets.count() == 2


def test_a_dialog_sent_again_makes_no_other_link(staff: Client) -> None:
    old = issue()
    revision = str(old.key.revision)
    first = dialog(staff, "regenerate_and_hand_over", old.key, revision=revision)

    second = dialog(staff, "regenerate_and_hand_over", old.key, revision=revision)

    assert not LINK.search(second.text)
    assert Recipient().opens(link_in(first)).status_code == 200


def test_the_page_shows_who_made_the_link_and_who_opened_it(staff: Client) -> None:
    offered = offer(passphrase=PASSPHRASE)

    before = key_page(staff, offered.key)
    Recipient("198.51.100.7").opens(offered)
    after = key_page(staff, offered.key)

    assert "Awaiting hand-over" in before
    assert f"made by <strong>{ACTOR.name}</strong>" in before
    assert "It asks for a passphrase." in before
    assert "Not opened yet." in before
    assert "Opened from 198.51.100.7" in after


def test_a_link_is_withdrawn_on_the_key_s_page(staff: Client) -> None:
    offered = offer()

    dialog(staff, "withdraw_hand_over", offered.key)

    assert Recipient().confirms(offered).status_code == 404
    assert "No link is pending" in key_page(staff, offered.key)
    event = Event.objects.about(offered.key).first()
    assert event is not None
    assert (event.action, event.source) == ("hand_over_withdrawn", "admin")


def test_withdrawing_what_was_used_meanwhile_says_so(staff: Client) -> None:
    offered = offer()
    path = reverse("admin:apikeys_apikey_withdraw_hand_over", args=(offered.key.pk,))
    staff.get(path)
    offer(offered.key)
    Recipient().confirms(offered)
    keys.withdraw(offered.key, actor=ACTOR)

    assert staff.post(path).status_code == 403


@pytest.mark.parametrize("action", ["regenerate_and_hand_over", "withdraw_hand_over"])
def test_who_may_only_look_makes_and_withdraws_no_link(action: str) -> None:
    offered = offer()

    page = dialog(client_of(make_staff("Auditor")), action, offered.key)

    assert page.status_code == 403
    assert Recipient().opens(offered).status_code == 200


def test_the_list_is_narrowed_to_keys_that_await_their_hand_over(staff: Client) -> None:
    issue(name="Active one")
    offer(name="Awaited one")

    page = staff.get(reverse("admin:apikeys_apikey_changelist"), {"status": "awaiting_hand_over"})

    assert "Awaited one" in page.text
    assert "Active one" not in page.text
