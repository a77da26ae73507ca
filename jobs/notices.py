"""Expiry notices: keys that end in 30, 14, 7 and 1 days are announced by e-mail, once each.

To the key's creator and to ``EXPIRY_NOTICE_RECIPIENTS``, through Django's mail settings. The
row that says so is written first, in one transaction with the sending: of two workers one
sends, and what could not be sent is tried again.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction

from apikeys.models import ApiKey
from jobs.models import ExpiryNotice

logger = logging.getLogger(__name__)

DAYS = (1, 7, 14, 30)


def announce(now: datetime) -> int:
    """Announce the keys that are due; return how many messages were sent."""
    sent = 0
    keys = ApiKey.objects.expiring_before(now + timedelta(days=max(DAYS)))
    for key in keys.select_related("created_by").order_by("expires_at"):
        assert key.expires_at is not None
        left = key.expires_at - now
        # The nearest only: a key made with a week to go is announced once, not three times.
        days = next(days for days in DAYS if left <= timedelta(days=days))
        sent += _announce(key, days, now)
    return sent


def _announce(key: ApiKey, days: int, now: datetime) -> bool:
    notice = {"key": key, "expires_at": key.expires_at, "days": days}
    if ExpiryNotice.objects.filter(**notice).exists():
        return False
    recipients = _recipients(key)
    try:
        with transaction.atomic():
            ExpiryNotice.objects.create(**notice, sent_at=now)
            if recipients:
                send_mail(
                    f"API key {key.name} expires within {days} day{'s' if days > 1 else ''}",
                    f"The API key {key.name} ({key.pk}, {key.environment}) expires at"
                    f" {key.expires_at:%Y-%m-%d %H:%M} UTC and is refused from then on.\n\n"
                    "Give it a later expiry in the admin, or tell whoever uses it.\n",
                    None,
                    recipients,
                )
    except IntegrityError:
        return False
    except (OSError, SMTPException) as error:
        logger.warning("the expiry of %s could not be announced: %s", key.pk, error)
        return False
    return bool(recipients)


def _recipients(key: ApiKey) -> list[str]:
    creator = key.created_by.email if key.created_by and key.created_by.is_active else ""
    addresses: Iterable[str] = (creator, *settings.EXPIRY_NOTICE_RECIPIENTS)
    return list(dict.fromkeys(address for address in addresses if address))
