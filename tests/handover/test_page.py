"""The page of a link: what opens, confirms, or attacks it."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from apikeys import lifecycle as keys
from apikeys.audited import Action
from apikeys.credentials import compose
from apikeys.environments import Environment
from apikeys.models import ApiKey, SecretVersion, Status
from audit.models import Event
from handover import lifecycle, views
from handover.lifecycle import Offer
from handover.models import HandOver
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, expire, issue
from tests.support.hand_overs import PASSPHRASE, Recipient, offer, path_of

pytestmark = pytest.mark.django_db

CREDENTIAL = re.compile(r"lk_prod_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


@pytest.fixture(autouse=True)
def no_usage() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def shown(answer: Any) -> str:
    (credential,) = set(CREDENTIAL.findall(answer.text))
    return str(credential)


def actions_of(key: ApiKey) -> list[str]:
    return list(Event.objects.about(key).order_by("id").values_list("action", flat=True))


def lapse(key: ApiKey) -> None:
    HandOver.objects.filter(key=key).update(expires_at=timezone.now())


def test_the_recipient_sees_the_key_once_and_it_works() -> None:
    offered = offer(permissions=["customers:read"])
    recipient = Recipient()

    opened = recipient.opens(offered)
    confirmed = recipient.confirms(offered)

    assert (opened.status_code, confirmed.status_code) == (200, 200)
    assert not CREDENTIAL.search(opened.text)
    assert Caller(shown(confirmed)).get("key").json()["status"] == "active"
    assert actions_of(offered.key) == [
        Action.CREATED, Action.HAND_OVER_MADE, Action.HAND_OVER_OPENED, Action.HAND_OVER_USED
    ]  # fmt: skip


def test_a_link_needs_no_cookie_and_sets_none() -> None:
    offered = offer()
    recipient = Recipient()

    recipient.opens(offered)
    confirmed = recipient.confirms(offered)

    assert shown(confirmed)
    assert not recipient.client.cookies


def test_sent_twice_or_after_going_back_the_form_shows_nothing_more() -> None:
    offered = offer()
    recipient = Recipient()
    first = shown(recipient.confirms(offered))

    again, reopened = recipient.confirms(offered), recipient.opens(offered)

    assert again.content == reopened.content
    assert (again.status_code, reopened.status_code) == (404, 404)
    assert SecretVersion.objects.filter(key=offered.key).count() == 1
    assert Caller(first).get("key").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "Slackbot"}])
def test_opening_uses_nothing_up(headers: dict[str, str]) -> None:
    offered = offer()
    recipient = Recipient()
    before = ApiKey.objects.values().get()

    for _ in range(3):
        assert recipient.opens(offered, **headers).status_code == 200
        assert recipient.client.head(path_of(offered)).status_code == 200

    assert ApiKey.objects.values().get() == before
    assert not SecretVersion.objects.exists()
    assert shown(recipient.confirms(offered))


def test_the_first_addresses_that_open_a_link_are_on_record() -> None:
    offered = offer()

    assert Recipient("203.0.113.1").client.head(path_of(offered)).content == b""
    for number in (1, 1, 2, 3, 4, 5, 6):
        Recipient(f"198.51.100.{number}").opens(offered)

    opened = Event.objects.about(offered.key).filter(action=Action.HAND_OVER_OPENED)
    assert [event.address for event in opened.order_by("id")] == [
        f"198.51.100.{number}" for number in range(1, 6)
    ]
    assert {(event.source, event.actor_name) for event in opened} == {("link", views.RECIPIENT)}


def sweep(offered: Offer) -> None:
    lapse(offered.key)
    assert lifecycle.expire(timezone.now()) == 1


def revoke_and_activate(offered: Offer) -> None:
    keys.revoke(offered.key, actor=ACTOR)
    keys.activate(offered.key, actor=ACTOR)


def try_too_often(offered: Offer) -> None:
    for _ in range(lifecycle.MAX_ATTEMPTS):
        Recipient().confirms(offered, "wrong passphrase")


ENDS: dict[str, Callable[[Offer], Any]] = {
    "used": lambda offered: Recipient().confirms(offered, PASSPHRASE),
    "expired": lambda offered: lapse(offered.key),
    "swept": sweep,
    "withdrawn": lambda offered: keys.withdraw(offered.key, actor=ACTOR),
    "revoked": lambda offered: keys.revoke(offered.key, actor=ACTOR),
    "activated again": revoke_and_activate,
    "key expired": lambda offered: expire(offered.key),
    "regenerated": lambda offered: keys.regenerate(offered.key, actor=ACTOR),
    "replaced": lambda offered: offer(offered.key),
}
TOKENS = [
    "", "x", "0" * 43, "0" * 44, "0" * 42 + "-", "../admin/", "%2e%2e/", "%0a", "a/b/c", "%ff",
    "0" * 5000, "<script>alert(1)</script>", "ℵ" * 43,
]  # fmt: skip


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
@pytest.mark.parametrize("end", [*ENDS.values(), try_too_often], ids=[*ENDS, "tried too often"])
def test_links_that_are_good_for_nothing_look_alike(
    end: Callable[[Offer], Any], passphrase: str
) -> None:
    offered = offer(passphrase=passphrase)
    end(offered)
    secrets = SecretVersion.objects.count()
    unknown = Recipient().opens("/handover/" + "0" * 43)

    answers = [
        Recipient().opens(offered),
        Recipient().confirms(offered),
        Recipient().confirms(offered, PASSPHRASE),
        Recipient().confirms("/handover/" + "0" * 43, PASSPHRASE),
    ]

    for answer in answers:
        assert answer.status_code == unknown.status_code == 404
        assert answer.content == unknown.content
        assert {**answer.headers, "X-Request-ID": ""} == {**unknown.headers, "X-Request-ID": ""}
    assert SecretVersion.objects.count() == secrets


@pytest.mark.parametrize("token", TOKENS)
def test_what_is_no_token_looks_like_a_link_that_is_used_up(token: str) -> None:
    gone = Recipient().opens("/handover/" + "0" * 43)

    for answer in (
        Recipient().opens(f"/handover/{token}"),
        Recipient().confirms(f"/handover/{token}"),
    ):
        assert (answer.status_code, answer.content) == (404, gone.content)


@pytest.mark.parametrize("which", ["offered", "issued", "gone", "limited", "method"])
def test_no_page_is_kept_indexed_framed_or_named_to_others(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = offer()
    recipient = Recipient()
    if which == "limited":
        monkeypatch.setattr(views, "RATE", "0/5m")
    answers: dict[str, Callable[[], Any]] = {
        "offered": lambda: recipient.opens(offered),
        "issued": lambda: recipient.confirms(offered),
        "gone": lambda: recipient.opens("/handover/x"),
        "limited": lambda: recipient.opens(offered),
        "method": lambda: recipient.client.put(path_of(offered)),
    }
    answer = answers[which]()

    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer["X-Robots-Tag"]
    assert answer["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert path_of(offered) not in answer.text


def test_an_address_that_asks_too_often_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "RATE", "3/5m")
    offered = offer()
    crowd = Recipient("198.51.100.1")

    statuses = [crowd.opens(offered).status_code for _ in range(4)]
    limited = crowd.confirms(offered)

    assert statuses == [200, 200, 200, 429]
    assert limited.status_code == 429
    assert 0 < int(limited["Retry-After"]) <= 300
    assert shown(Recipient("198.51.100.2").confirms(offered))


def test_a_form_of_another_site_confirms_nothing() -> None:
    offered = offer()

    for site in ("cross-site", "same-site"):
        answer = Recipient().confirms(offered, **{"Sec-Fetch-Site": site})

        assert answer.status_code == 403
        assert not CREDENTIAL.search(answer.text)
    assert shown(Recipient().confirms(offered, **{"Sec-Fetch-Site": "same-origin"}))


def test_a_passphrase_opens_the_link_and_another_does_not() -> None:
    offered = offer(passphrase=PASSPHRASE)
    recipient = Recipient()

    wrong = [recipient.confirms(offered), recipient.confirms(offered, "eight green bottles")]

    assert [answer.status_code for answer in wrong] == [403, 403]
    assert "Handed over" not in recipient.opens(offered).text
    assert HandOver.objects.get().passphrase.startswith("argon2$argon2id$")
    assert shown(recipient.confirms(offered, PASSPHRASE))


def test_a_passphrase_written_in_another_form_of_unicode_is_the_same() -> None:
    offered = offer(passphrase="sieben grüne")

    assert shown(Recipient().confirms(offered, "sieben gru\u0308ne"))


def test_passphrases_are_tried_ten_times_from_wherever_and_then_the_link_is_withdrawn() -> None:
    offered = offer(passphrase=PASSPHRASE)

    answers = [
        Recipient(f"198.51.100.{number}").confirms(offered, "wrong passphrase")
        for number in range(lifecycle.MAX_ATTEMPTS)
    ]

    assert [answer.status_code for answer in answers] == [403] * 9 + [404]
    assert Recipient().confirms(offered, PASSPHRASE).status_code == 404
    event = Event.objects.about(offered.key).first()
    assert event is not None
    assert (event.action, event.source) == (Action.HAND_OVER_WITHDRAWN, "system")


def test_the_old_secret_goes_on_until_the_recipient_confirms() -> None:
    old = issue()
    offered = offer(old.key)

    assert Caller(old).get("key").status_code == 200
    new = shown(Recipient().confirms(offered))

    assert Caller(old).get("key").json()["code"] == "key_invalid"
    assert Caller(new).get("key").status_code == 200


def test_the_overlap_begins_when_the_recipient_confirms() -> None:
    old = issue()
    offered = offer(old.key, overlap=timedelta(hours=1))

    answer = Recipient().confirms(offered)

    retires_at = old.key.secrets.get(number=1).retires_at
    assert retires_at is not None
    assert retires_at - timezone.now() > timedelta(minutes=59)
    assert "Is accepted until" in answer.text
    assert Caller(old).get("key").status_code == Caller(shown(answer)).get("key").status_code == 200


def test_a_key_whose_old_secrets_are_too_many_says_so_and_the_link_stays() -> None:
    key = issue().key
    offered = offer(key, overlap=timedelta(hours=1))
    ApiKey.objects.filter(pk=key.pk).update(hand_over_id=None)
    for _ in range(keys.MAX_ACCEPTED_SECRETS - 1):
        keys.regenerate(key, actor=ACTOR, overlap=timedelta(hours=1))
    ApiKey.objects.filter(pk=key.pk).update(hand_over_id=offered.hand_over.pk)

    answer = Recipient().confirms(offered)

    assert answer.status_code == 403
    assert "are still accepted" in answer.text
    assert Recipient().opens(offered).status_code == 200


def test_a_key_that_awaits_its_hand_over_is_answered_as_an_unknown_one() -> None:
    offered = offer()
    credentials = [
        compose("lk", Environment.PRODUCTION, key_id, "0" * 32)
        for key_id in (offered.key.pk, "0" * 12)
    ]

    answers = [Caller(credential).get("key") for credential in credentials]

    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "key_invalid"
    assert offered.key.status is Status.AWAITING


def test_the_page_says_whom_to_ask(settings: Any) -> None:
    settings.HAND_OVER_CONTACT = "keys@example.com"
    offered = offer()

    opened, gone = Recipient().opens(offered), Recipient().opens("/handover/x")
    issued = Recipient().confirms(offered)

    assert ACTOR.name in opened.text
    assert "keys@example.com" in opened.text
    assert "keys@example.com" in gone.text
    assert "keys@example.com" in issued.text
    assert ACTOR.name in issued.text


def test_names_are_shown_as_text() -> None:
    offered = offer(name="<b>bold</b>")

    assert "<b>" not in Recipient().opens(offered).text
    assert "<b>" not in Recipient().confirms(offered).text
