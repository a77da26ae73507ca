"""Alerts are sent, each once, whatever becomes of a worker or of the mail server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from alerts import sending
from alerts.causes import expiry_window
from alerts.models import Alert, Kind
from apikeys import lifecycle
from apikeys.models import ApiKey
from tests.support.factories import ACTOR, issue, make_staff

pytestmark = pytest.mark.django_db

# A minute later than any turn that was taken.
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def to_operators(settings: Any) -> None:
    """Somebody to tell, and a mailbox to look into."""
    settings.EXPIRY_NOTICE_RECIPIENTS = ["ops@example.com"]
    settings.ADMIN_URL = "https://keys.example"


def make_alert(kind: str = Kind.EXPIRY, **fields: Any) -> Alert:
    key = issue().key
    return Alert.objects.create(key=key, kind=kind, subject="A subject", text="A text.", **fields)


def test_each_of_the_days_is_announced_once_to_creator_and_operators() -> None:
    now = timezone.now()
    issued = issue(expires_at=now + timedelta(days=29), name="Billing")
    creator = make_staff()
    creator.email = "maker@example.com"
    creator.save()
    ApiKey.objects.filter(pk=issued.key.pk).update(created_by=creator)

    for days_on in (0, 1, 16, 23, 28.5):
        for minutes in (0, 1, 2):
            sending.alert(now + timedelta(days=days_on, minutes=minutes))

    assert [message.subject for message in mail.outbox] == [
        f"API key Billing expires within {days}"
        for days in ("30 days", "14 days", "7 days", "1 day")
    ]
    assert all(m.to == ["maker@example.com", "ops@example.com"] for m in mail.outbox)
    assert f"https://keys.example/admin/apikeys/apikey/{issued.key.pk}/" in str(mail.outbox[0].body)
    assert issued.credential.split("_")[3] not in str(mail.outbox[0].message())


def test_keys_that_end_later_or_have_ended_or_were_revoked_are_not_announced() -> None:
    now = timezone.now()
    issue(expires_at=now + timedelta(days=31))
    issue()
    revoked = issue(expires_at=now + timedelta(days=3))
    lifecycle.revoke(revoked.key, actor=ACTOR)

    assert sending.alert(now) == 0
    assert mail.outbox == []


def test_a_new_expiry_is_announced_anew() -> None:
    now = timezone.now()
    key = issue(expires_at=now + timedelta(days=1)).key
    sending.alert(now)
    lifecycle.update(key, actor=ACTOR, expires_at=now + timedelta(days=2))

    assert sending.alert(now + MINUTE) == 1


def test_what_cannot_be_sent_is_kept_and_sent_later(settings: Any) -> None:
    now = timezone.now()
    issue(expires_at=now + timedelta(days=1))
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert sending.alert(now) == 0

    settings.EMAIL_BACKEND = working
    assert [sending.alert(now + MINUTE), sending.alert(now + 2 * MINUTE)] == [1, 0]


def test_of_two_workers_one_takes_the_turn_and_one_sends() -> None:
    now = timezone.now()
    alert = make_alert()

    turns = [sending._is_due(now), sending._is_due(now), sending._is_due(now + MINUTE)]
    claims = [sending._claimed(now), sending._claimed(now)]

    assert turns == [True, False, True]
    assert claims == [[alert], []]


def test_what_a_worker_claimed_and_did_not_send_is_sent_by_another_as_the_same_message() -> None:
    now = timezone.now()
    alert = make_alert(claimed_at=now)

    assert sending.send(now + timedelta(minutes=14)) == 0
    assert sending.send(now + timedelta(minutes=16)) == 1
    assert mail.outbox[0].message()["Message-ID"] == f"<{alert.pk}@localhost>"


def test_an_outage_of_many_keys_is_one_message() -> None:
    alerts = [make_alert() for _ in range(6)]

    assert sending.send(timezone.now()) == 1
    assert mail.outbox[0].subject == "6 API keys: Expiry"
    assert all(alert.key_id in str(mail.outbox[0].body) for alert in alerts)
    assert not Alert.objects.filter(sent_at=None).exists()


def test_nobody_to_tell_is_no_reason_to_try_again(settings: Any) -> None:
    settings.EXPIRY_NOTICE_RECIPIENTS = []
    make_alert()

    assert sending.send(timezone.now()) == 0
    assert not Alert.objects.filter(sent_at=None).exists()


def test_only_expiries_are_told_to_those_who_asked_for_no_more(settings: Any) -> None:
    settings.ALERT_RECIPIENTS = ["security@example.com"]
    make_alert(Kind.NETWORK)

    sending.send(timezone.now())

    assert mail.outbox[0].to == ["security@example.com"]


@pytest.mark.django_db(transaction=True)
def test_notices_that_were_sent_before_the_upgrade_are_not_sent_again() -> None:
    expires_at = datetime(2027, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    key = issue().key
    executor = MigrationExecutor(connection)
    executor.migrate([("jobs", "0006_rename_action_source_and_max_attempts"),
                      ("alerts", "0001_initial")])  # fmt: skip
    old = executor.loader.project_state(
        [("jobs", "0006_rename_action_source_and_max_attempts"), ("alerts", "0001_initial")]
    ).apps
    sent = {"claimed_at": timezone.now(), "sent_at": timezone.now()}
    old.get_model("jobs", "ExpiryNotice").objects.create(
        key_id=key.pk, expires_at=expires_at, days=7, **sent
    )

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())

    assert apps.get_model("alerts", "Alert") is Alert
    taken = Alert.objects.get()
    assert (taken.key_id, taken.window) == (key.pk, expiry_window(7, expires_at))
    assert taken.sent_at is not None
