"""Expiries are announced, each once."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apikeys import lifecycle
from apikeys.models import ApiKey
from jobs import expiry_notices
from tests.support.factories import ACTOR, issue, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def to_operators(settings: Any) -> None:
    """Somebody to tell, and a mailbox to look into."""
    settings.EXPIRY_NOTICE_RECIPIENTS = ["ops@example.com"]


def test_each_of_the_days_is_announced_once_to_creator_and_operators() -> None:
    now = timezone.now()
    issued = issue(expires_at=now + timedelta(days=29), name="Billing")
    creator = make_staff()
    creator.email = "maker@example.com"
    creator.save()
    ApiKey.objects.filter(pk=issued.key.pk).update(created_by=creator)

    for days_on in (0, 1, 16, 23, 28.5):
        expiry_notices.announce(now + timedelta(days=days_on))
        expiry_notices.announce(now + timedelta(days=days_on))

    assert [message.subject for message in mail.outbox] == [
        f"API key Billing expires within {days}"
        for days in ("30 days", "14 days", "7 days", "1 day")
    ]
    assert all(m.to == ["maker@example.com", "ops@example.com"] for m in mail.outbox)
    assert issued.credential.split("_")[3] not in str(mail.outbox[0].message())


def test_keys_that_end_later_or_have_ended_or_were_revoked_are_not_announced() -> None:
    now = timezone.now()
    issue(expires_at=now + timedelta(days=31))
    issue()
    revoked = issue(expires_at=now + timedelta(days=3))
    lifecycle.revoke(revoked.key, actor=ACTOR)

    assert expiry_notices.announce(now) == 0
    assert mail.outbox == []


def test_a_new_expiry_is_announced_anew() -> None:
    now = timezone.now()
    key = issue(expires_at=now + timedelta(days=1)).key
    expiry_notices.announce(now)
    lifecycle.update(key, actor=ACTOR, expires_at=now + timedelta(days=2))

    assert expiry_notices.announce(now) == 1


def test_what_cannot_be_sent_is_tried_again(settings: Any) -> None:
    issue(expires_at=timezone.now() + timedelta(days=1))
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert expiry_notices.announce(timezone.now()) == 0

    settings.EMAIL_BACKEND = working
    assert expiry_notices.announce(timezone.now()) == 1
