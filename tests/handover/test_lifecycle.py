"""The life of a hand-over: who ends it, and what a race leaves."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from apikeys import lifecycle as keys
from apikeys.audited import Action
from apikeys.models import ApiKey, SecretVersion, Status
from apikeys.peppers import Peppers
from audit.models import Event
from database.refusals import Conflict, Refused
from handover import lifecycle
from handover.models import HandOver
from tests.support.factories import ACTOR, expire, issue
from tests.support.hand_overs import PASSPHRASE, Recipient, offer, path_of

pytestmark = pytest.mark.django_db


def test_a_link_is_stored_as_a_digest_alone() -> None:
    offered = offer(passphrase=PASSPHRASE)
    token = path_of(offered).rpartition("/")[2]

    stored = [str(list(model.objects.values())) for model in (HandOver, ApiKey, Event)]

    for text in stored:
        assert token not in text
        assert PASSPHRASE not in text
    assert offered.url not in repr(offered)
    assert len(offered.hand_over.digest) == 64


def test_a_link_is_found_under_an_older_pepper(settings: Any) -> None:
    settings.API_KEY_PEPPERS = Peppers({1: b"x" * 16})
    offered = offer()
    settings.API_KEY_PEPPERS = Peppers({1: b"x" * 16, 2: b"y" * 16})

    assert Recipient().opens(offered).status_code == 200


def test_a_key_that_awaits_its_hand_over_is_neither_active_nor_anything_else() -> None:
    key = offer().key

    assert ApiKey.objects.with_status(Status.AWAITING).get() == key
    for status in set(Status) - {Status.AWAITING}:
        assert not ApiKey.objects.with_status(status).exists()


@pytest.mark.parametrize("hours", [-1, 0, 169])
def test_a_link_is_good_for_an_hour_to_a_week(hours: int) -> None:
    with pytest.raises(Refused, match="Choose 1 to 168"):
        lifecycle.terms(hours)


@pytest.mark.parametrize("passphrase", ["short", "x" * 201])
def test_a_passphrase_is_neither_short_nor_endless(passphrase: str) -> None:
    with pytest.raises(Refused, match="Use 8 to 200 characters"):
        lifecycle.terms(24, passphrase)


@pytest.mark.parametrize("end", [expire, lambda key: keys.revoke(key, actor=ACTOR)])
def test_a_key_that_is_good_for_nothing_is_not_handed_over(end: Callable[[ApiKey], Any]) -> None:
    key = issue().key
    end(key)

    with pytest.raises(Conflict, match="nobody could use it"):
        offer(key)

    assert not HandOver.objects.exists()


def test_a_form_sent_twice_makes_one_link() -> None:
    key = issue().key
    revision = key.revision
    offered = offer(key, revision=revision)

    with pytest.raises(Conflict):
        offer(key, revision=revision)

    assert Recipient().opens(offered).status_code == 200


def test_a_new_link_withdraws_the_one_before_on_record() -> None:
    key = issue().key
    offer(key)
    second = offer(key)

    actions = Event.objects.about(key).order_by("id").values_list("action", flat=True)

    assert list(actions)[1:] == [
        Action.HAND_OVER_MADE, Action.HAND_OVER_WITHDRAWN, Action.HAND_OVER_MADE
    ]  # fmt: skip
    assert lifecycle.pending(ApiKey.objects.get()) == second.hand_over


@pytest.mark.parametrize("act", [keys.revoke, keys.regenerate])
def test_what_withdraws_a_link_by_the_way_says_so(act: Any) -> None:
    key = offer().key

    act(key, actor=ACTOR)

    event = Event.objects.about(key).first()
    assert event is not None
    assert event.changes["hand-over"] == ["pending", "withdrawn"]
    assert ApiKey.objects.get().hand_over_id is None


def test_a_plain_new_secret_makes_an_awaited_key_active() -> None:
    key = offer().key

    issued = keys.regenerate(key, actor=ACTOR, version=0)

    assert issued.key.status is Status.ACTIVE
    assert issued.key.secrets.get().number == 1


def test_an_expired_link_is_recorded_once_and_no_row_of_it_stays() -> None:
    key = offer().key
    other = offer()
    HandOver.objects.filter(key=key).update(expires_at=timezone.now())

    counts = [lifecycle.expire(timezone.now()) for _ in range(2)]

    assert counts == [1, 0]
    expired = Event.objects.filter(action=Action.HAND_OVER_EXPIRED)
    assert [event.object_id for event in expired] == [key.pk]
    assert HandOver.objects.get() == other.hand_over
    key.refresh_from_db()
    assert (key.status, key.hand_over_id) == (Status.AWAITING, None)


def test_rows_of_links_that_were_withdrawn_are_deleted() -> None:
    key = offer().key
    keys.revoke(key, actor=ACTOR)

    assert lifecycle.expire(timezone.now()) == 0

    assert not HandOver.objects.exists()


def test_no_event_names_a_link_or_a_secret() -> None:
    old = issue()
    offered = offer(old.key, overlap=timedelta(hours=1), passphrase=PASSPHRASE)
    Recipient().opens(offered)
    answer = Recipient().confirms(offered, PASSPHRASE)

    written = str(list(Event.objects.values()))

    assert "lk_prod_" not in written
    assert path_of(offered) not in written
    assert PASSPHRASE not in written
    for digest in SecretVersion.objects.values_list("digest", flat=True):
        assert digest not in written + answer.text


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_new", [True, False])
def test_two_recipients_get_one_secret_between_them(is_new: bool) -> None:
    recipients = Recipient("198.51.100.8"), Recipient("198.51.100.9")
    for _ in range(25):
        offered = offer() if is_new else offer(issue().key)
        before = SecretVersion.objects.filter(key=offered.key).count()

        answers = at_once(*(partial(one.confirms, offered) for one in recipients))

        assert sorted(answer.status_code for answer in answers) == [200, 404]
        assert sum("lk_prod_" in answer.text for answer in answers) == 1
        assert SecretVersion.objects.filter(key=offered.key).count() == before + 1
        used = Event.objects.about(offered.key).filter(action=Action.HAND_OVER_USED)
        assert used.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [keys.revoke, keys.regenerate])
def test_a_recipient_and_who_ends_the_link_agree_who_was_first(act: Any) -> None:
    for _ in range(5):
        key = issue().key
        offered = offer(key)

        answer, _ = at_once(
            partial(Recipient().confirms, offered), partial(act, offered.key, actor=ACTOR)
        )

        events = Event.objects.about(key).order_by("id").values_list("action", flat=True)
        is_used = Action.HAND_OVER_USED in list(events)
        assert answer.status_code == (200 if is_used else 404)


@pytest.mark.django_db(transaction=True)
def test_guesses_sent_at_once_all_count() -> None:
    offered = offer(passphrase=PASSPHRASE)

    at_once(
        *(
            partial(Recipient(f"198.51.100.{number}").confirms, offered, "wrong one")
            for number in range(12)
        )
    )

    assert Recipient().confirms(offered, PASSPHRASE).status_code == 404
    assert not SecretVersion.objects.exists()
