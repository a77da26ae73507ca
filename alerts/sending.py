"""Sends alerts by e-mail, to those whom ``ALERT_RECIPIENTS`` names and the key's creator.

A worker claims an alert before it sends it, so that of two workers only one does. It sends outside
of any transaction, because a mail server may be slow; an alert that cannot be sent stays and is
tried again. The message's id is the alert's: where a worker dies between sending and noting it,
the message that another sends is known for the same.
"""

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused
from time import monotonic

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import timezone

from alerts import causes
from alerts.models import Alert, Kind, Round
from database.periodic_tasks import PeriodicTask

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60
# A worker that holds an unsent claim for longer has died, or the server refused the message.
CLAIM_TIMEOUT = timedelta(minutes=15)
# A slow server must not keep claims until others take them for abandoned.
SEND_SECONDS = 300
MAX_AT_ONCE = 500
# More alerts of a kind, as in an outage that concerns every key, are one message.
MAX_APART = 5
KEPT = timedelta(days=400)


def alert(now: datetime) -> int:
    """Look for causes if it is time, and send what is to be sent; return how many e-mails."""
    if _is_due(now):
        causes.raise_alerts(now)
        Alert.objects.filter(created_at__lt=now - KEPT).delete()
    return send(now)


ALERTING = PeriodicTask("sending of alerts", EVERY_SECONDS, alert, thread="alerting")


def send(now: datetime) -> int:
    sent, claimed, began = 0, _claimed(now), monotonic()
    for recipients, alerts in _messages(claimed):
        if monotonic() - began > SEND_SECONDS:
            _release(claimed)
            break
        try:
            if recipients:
                _send(alerts, recipients)
                sent += 1
        except (SMTPRecipientsRefused, SMTPDataError) as error:
            # This message and no other: it keeps its claim, and is tried again after that.
            logger.warning("an alert was refused by the mail server: %s", error)
            continue
        except OSError as error:
            # The same server would fail for the others too. SMTP's errors are OSErrors.
            logger.warning("alerts could not be sent: %s", error)
            _release(claimed)
            break
        ids = [alert.pk for alert in alerts]
        Alert.objects.filter(pk__in=ids).update(sent_at=timezone.now())
    return sent


def _is_due(now: datetime) -> bool:
    """Take the turn; of all workers one does, once a minute."""
    due = Round.objects.filter(pk=1, began_at__lte=now - timedelta(seconds=EVERY_SECONDS - 5))
    if due.update(began_at=now):
        return True
    return Round.objects.get_or_create(pk=1, defaults={"began_at": now})[1]


def _claimed(now: datetime) -> list[Alert]:
    """Return the alerts that this worker is to send."""
    waiting = Alert.objects.to_send(now - CLAIM_TIMEOUT)
    return [
        alert
        for alert in waiting.select_related("key__created_by")[:MAX_AT_ONCE]
        if waiting.filter(pk=alert.pk).update(claimed_at=now)
    ]


def _release(alerts: list[Alert]) -> None:
    """Leave those that are not sent yet to the next round of whichever worker."""
    unsent = Alert.objects.filter(pk__in=[alert.pk for alert in alerts], sent_at=None)
    unsent.update(claimed_at=None)


def _messages(alerts: list[Alert]) -> list[tuple[list[str], list[Alert]]]:
    """Return the messages, each with its recipients: many alerts of a kind are one."""
    alike: dict[tuple[str, ...], list[Alert]] = defaultdict(list)
    for alert in alerts:
        alike[alert.kind, *_recipients(alert)].append(alert)
    messages: list[tuple[list[str], list[Alert]]] = []
    for (_, *recipients), group in alike.items():
        if len(group) > MAX_APART:
            messages.append((recipients, group))
        else:
            messages += ((recipients, [alert]) for alert in group)
    return messages


def _send(alerts: list[Alert], recipients: list[str]) -> None:
    first, *others = alerts
    subject = f"{len(alerts)} API keys: {first.get_kind_display()}" if others else first.subject
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">")
    EmailMessage(
        subject,
        "\n".join(f"{alert.text}\n\n{_page(alert)}\n" for alert in alerts),
        None,
        recipients,
        headers={"Message-ID": f"<{first.pk}@{domain}>"},
    ).send()


def _page(alert: Alert) -> str:
    return settings.ADMIN_URL + reverse("admin:apikeys_apikey_change", args=(alert.key_id,))


def _recipients(alert: Alert) -> list[str]:
    creator = alert.key.created_by
    addresses = [
        creator.email if creator and creator.is_active else "",
        *(settings.EXPIRY_NOTICE_RECIPIENTS if alert.kind == Kind.EXPIRY else ()),
        *settings.ALERT_RECIPIENTS,
    ]
    return list(dict.fromkeys(address for address in addresses if address))
