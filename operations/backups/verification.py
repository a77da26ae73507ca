"""Whether what was restored is what was backed up: the audit chain, and a key that is known."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from apikeys import credentials
from apikeys.models import ApiKey, SecretVersion
from apikeys.peppers import Peppers
from audit import chain


class Unverified(Exception):
    """What was restored is not what it should be; the message is two sentences."""


def verify_chain(head: dict[str, Any] | None) -> str:
    """See that the audit trail is whole and ends where it did; return a sentence."""
    if head is None:
        return "The backup is older than the audit chain."
    report = chain.verify(chain.Head(head["sequence"], head["hash"]))
    if report.fault is not None:
        place = f"Event {report.fault.sequence}" if report.fault.sequence else "An event"
        raise Unverified(
            f"{place} of the audit trail {report.fault.problem}."
            " The trail was so when the backup was made: compare it with a copy of the events."
        )
    return f"The audit trail is whole: {report.events:,} events."


def verify_key(text: str, peppers: Peppers) -> str:
    """See that a credential matches a key; return a sentence."""
    credential = credentials.parse(text)
    if credential is None:
        raise Unverified(
            "What was given is not the form of a key. Give a whole key, as it was shown once."
        )
    key = ApiKey.objects.filter(pk=credential.key_id).first()
    if key is None:
        raise Unverified(
            f"The backup has no key {credential.key_id}. Give one that was made before the backup."
        )
    now = timezone.now()
    stored = SecretVersion.objects.filter(key=key).exclude(digest="").accepted(now)
    if not any(
        peppers.verify(
            one.digest, one.pepper, environment=key.environment, key_id=key.pk,
            secret=credential.secret,
        )
        for one in stored
    ):  # fmt: skip
        raise Unverified(
            f"The secret of {key.pk} does not match. Give one that was current at the time of the"
            " backup, and compare API_KEY_PEPPERS with those of then."
        )
    return f"Key {key.pk} ({key.name}) authenticates{_but(key, now)}."


def _but(key: ApiKey, now: datetime) -> str:
    if key.is_revoked:
        return ", and is revoked"
    return ", and is expired" if key.is_expired(now.astimezone(UTC)) else ""
