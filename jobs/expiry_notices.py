"""Sends one e-mail each when a key has 30, 14, 7 and 1 days left.

A worker claims a notice before it sends it, so that of two workers only one sends. It sends
outside of any transaction, because a mail server may be slow. A failed e-mail is retried.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from apikeys.models import ApiKey
from database.periodic_tasks import PeriodicTask
from jobs.models import ExpiryNotice

logger = logging.getLogger(__name__)

DAYS = (1, 7, 14, 30)
# A worker that holds an unsent claim for longer has died.
CLAIM_TIMEOUT = timedelta(minutes=15)


def announce(now: datetime) -> int:
    """Return the number of e-mails sent."""
    sent = 0
    keys = ApiKey.objects.expiring_before(now + timedelta(days=max(DAYS)))
    for key in keys.select_related("created_by").order_by("expires_at"):
        assert key.expires_at is not None
        remaining = key.expires_at - now
        # The nearest only: a key created a week before its expiry is announced once, not thrice.
        days = next(days for days in DAYS if remaining <= timedelta(days=days))
        try:
            sent += _announce(key, days, now)
        except (OSError, SMTPException) as error:
            # The same mail server would fail for the other keys too.
            logger.warning("the expiry notice for key %s could not be sent: %s", key.pk, error)
            break
    return sent


ANNOUNCING = PeriodicTask("sending of expiry notices", 600, announce, thread="announcing")


def _announce(key: ApiKey, days: int, now: datetime) -> bool:
    notice = _claim(key, days, now)
    if notice is None:
        return False
    recipients = _recipients(key)
    try:
        if recipients:
            send_mail(
                f"API key {key.name} expires within {days} day{'s' if days > 1 else ''}",
                f"The API key {key.name} ({key.pk}, {key.environment}) expires at"
                f" {key.expires_at:%Y-%m-%d %H:%M} UTC and is refused from then on.\n\n"
                "Give it a later expiry in the admin, or tell whoever uses it.\n",
                None,
                recipients,
            )
    except (OSError, SMTPException):
        notice.delete()
        raise
    ExpiryNotice.objects.filter(pk=notice.pk).update(sent_at=timezone.now())
    return bool(recipients)


def _claim(key: ApiKey, days: int, now: datetime) -> ExpiryNotice | None:
    """Return the notice if this worker is to send it."""
    identity = {"key": key, "expires_at": key.expires_at, "days": days}
    abandoned = ExpiryNotice.objects.filter(
        **identity, sent_at=None, claimed_at__lt=now - CLAIM_TIMEOUT
    )
    if abandoned.update(claimed_at=now):
        return ExpiryNotice.objects.get(**identity)
    notice, is_new = ExpiryNotice.objects.get_or_create(**identity, defaults={"claimed_at": now})
    return notice if is_new else None


def _recipients(key: ApiKey) -> list[str]:
    creator = key.created_by.email if key.created_by and key.created_by.is_active else ""
    addresses: Iterable[str] = (creator, *settings.EXPIRY_NOTICE_RECIPIENTS)
    return list(dict.fromkeys(address for address in addresses if address))
