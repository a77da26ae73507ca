"""Expiry notices: keys that end in 30, 14, 7 and 1 days are announced by e-mail, once each.

To the key's creator and to ``EXPIRY_NOTICE_RECIPIENTS``, through Django's mail settings. A notice
is claimed first, so that of two workers one sends, and sent outside of any transaction: a mail
server that does not answer holds up nobody. What could not be sent is tried again.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from apikeys.models import ApiKey
from database.periodic_tasks import PeriodicTask
from jobs.models import ExpiryNotice

logger = logging.getLogger(__name__)

DAYS = (1, 7, 14, 30)
# A claim without an end for so long was left by a worker that died.
LEFT_AFTER = timedelta(minutes=15)


def announce(now: datetime) -> int:
    """Announce the keys that are due; return how many messages were sent."""
    sent = 0
    keys = ApiKey.objects.expiring_before(now + timedelta(days=max(DAYS)))
    for key in keys.select_related("created_by").order_by("expires_at"):
        assert key.expires_at is not None
        left = key.expires_at - now
        # The nearest only: a key made with a week to go is announced once, not three times.
        days = next(days for days in DAYS if left <= timedelta(days=days))
        try:
            sent += _announce(key, days, now)
        except (OSError, SMTPException) as error:
            # The others would wait as long for the same server.
            logger.warning("the expiry of %s could not be announced: %s", key.pk, error)
            break
    return sent


ANNOUNCING = PeriodicTask("announcing of expiries", 600, announce, thread="announcing")


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
    """Return the notice if it is this worker's to send."""
    known = {"key": key, "expires_at": key.expires_at, "days": days}
    left = ExpiryNotice.objects.filter(**known, sent_at=None, claimed_at__lt=now - LEFT_AFTER)
    if left.update(claimed_at=now):
        return ExpiryNotice.objects.get(**known)
    if ExpiryNotice.objects.filter(**known).exists():
        return None
    try:
        with transaction.atomic():
            return ExpiryNotice.objects.create(**known, claimed_at=now)
    except IntegrityError:
        return None


def _recipients(key: ApiKey) -> list[str]:
    creator = key.created_by.email if key.created_by and key.created_by.is_active else ""
    addresses: Iterable[str] = (creator, *settings.EXPIRY_NOTICE_RECIPIENTS)
    return list(dict.fromkeys(address for address in addresses if address))
