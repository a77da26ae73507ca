"""Every change to a hand-over: made, opened, used, withdrawn, expired; each on record with its key.

Which hand-over is pending is the key's own state (``apikeys.lifecycle.hand_overs``): it is judged
while the key's row is locked, so two who confirm one link at once get one secret between them.
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Unpack

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apikeys import credentials, lifecycle
from apikeys.audited import Action
from apikeys.environments import Environment
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey
from apikeys.validation import KeyFields
from audit.actors import Actor, Source
from audit.trail import record
from database import deadline
from database.periodic_tasks import PeriodicTask
from database.refusals import Refused
from handover import links
from handover.models import HandOver

MIN_HOURS, MAX_HOURS, USUAL_HOURS = 1, 168, 24
MIN_PASSPHRASE_LENGTH, MAX_PASSPHRASE_LENGTH = 8, 200
# Of a link's passphrase, from whatever address; then the link is withdrawn.
MAX_ATTEMPTS = 10
MAX_RECORDED_OPENINGS = 5
SYSTEM = Actor(Source.SYSTEM, "Latchkey")


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a link is good, and the hash of the passphrase that it asks for; blank for none."""

    hours: int
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """A key that is handed over, and the only copy there will ever be of the link."""

    key: ApiKey
    hand_over: HandOver
    url: str = field(repr=False)


@sensitive_variables()
def terms(hours: int, passphrase: str = "") -> Terms:
    """Return the terms of a link; called before rows are locked, for hashing takes its time."""
    if not MIN_HOURS <= hours <= MAX_HOURS:
        raise Refused(
            f"The link cannot be good for {hours} hours. Choose {MIN_HOURS} to {MAX_HOURS}.",
            field="hand_over",
        )
    if not passphrase:
        return Terms(hours)
    if not MIN_PASSPHRASE_LENGTH <= len(passphrase) <= MAX_PASSPHRASE_LENGTH:
        raise Refused(
            "The passphrase is too short or too long. Use"
            f" {MIN_PASSPHRASE_LENGTH} to {MAX_PASSPHRASE_LENGTH} characters.",
            field="passphrase",
        )
    with deadline.computing():
        return Terms(hours, make_password(_normal(passphrase)))


def create(
    terms: Terms,
    *,
    environment: Environment,
    actor: Actor,
    key_id: str | None = None,
    **settings: Unpack[KeyFields],
) -> Offer:
    """Create a key that has no secret until its recipient confirms."""
    with transaction.atomic():
        key = lifecycle.create_awaiting(
            environment=environment, actor=actor, key_id=key_id, **settings
        )
        return regenerate(key, terms, actor=actor)


def regenerate(
    key: ApiKey,
    terms: Terms,
    *,
    actor: Actor,
    overlap: timedelta = timedelta(0),
    revision: int | None = None,
) -> Offer:
    """Have the key's next secret made by who opens the link; until then the old one goes on.

    It stops when the recipient confirms, or ``overlap`` later. A link made before is withdrawn.
    """
    token, now = credentials.new_token(), timezone.now()
    hand_over = HandOver(
        key=key,
        digest=links.digest_of(token),
        passphrase=terms.passphrase,
        made_by=actor.name,
        made_at=now,
        expires_at=now + timedelta(hours=terms.hours),
        overlap_seconds=int(overlap.total_seconds()),
    )
    changes: dict[str, Any] = {"link expires": [None, hand_over.expires_at.isoformat()]}
    if terms.passphrase:
        changes["passphrase"] = [None, "needed"]
    if overlap:
        changes["overlap"] = [None, str(overlap)]
    with transaction.atomic():
        key = lifecycle.offer(
            key, hand_over.pk, actor=actor, overlap=overlap, changes=changes, revision=revision
        )
        hand_over.save(force_insert=True)
    return Offer(key, hand_over, links.address_of(token))


def open(hand_over: HandOver, *, actor: Actor) -> None:  # noqa: A001 - called lifecycle.open
    """Record who looks at the page: an address once, and no more of them than are of use.

    It changes nothing else, for the first may be a program that previews links.
    """
    address = actor.address or "unknown"
    opened = hand_over.opened_from
    if address in opened or len(opened) >= MAX_RECORDED_OPENINGS:
        return
    with transaction.atomic():
        locked = HandOver.objects.select_for_update().filter(pk=hand_over.pk).first()
        if locked is not None and address not in locked.opened_from:
            locked.opened_from = (*locked.opened_from, address)
            locked.save(update_fields=["opened_from"])
            record(hand_over.key, Action.HAND_OVER_OPENED, actor)


@sensitive_variables()
def accepts(hand_over: HandOver, passphrase: str) -> bool:
    """Whether a passphrase is the link's own; after too many wrong ones the link is withdrawn."""
    if not hand_over.passphrase:
        return True
    rows = HandOver.objects.filter(pk=hand_over.pk)
    # Counted before it is compared, so that guesses sent at once all count.
    is_counted = rows.filter(attempts__lt=MAX_ATTEMPTS).update(attempts=F("attempts") + 1)
    if is_counted and check_password(_normal(passphrase), hand_over.passphrase):
        return True
    if not rows.filter(attempts__lt=MAX_ATTEMPTS).exists():
        lifecycle.withdraw(
            hand_over.key,
            hand_over_id=hand_over.pk,
            actor=SYSTEM,
            reason=f"{MAX_ATTEMPTS} passphrases were tried.",
        )
    return False


def use(hand_over: HandOver, *, actor: Actor) -> IssuedKey | None:
    """Make the secret, which is then the recipient's alone; None if the link is used up by now."""
    with transaction.atomic():
        issued = lifecycle.take(
            hand_over.key,
            hand_over.pk,
            actor=actor,
            overlap=hand_over.overlap,
            until=hand_over.expires_at,
        )
        if issued is not None:
            hand_over.delete()
        return issued


def pending(key: ApiKey) -> HandOver | None:
    """Return the hand-over of a key that its recipient has not confirmed yet."""
    if key.hand_over_id is None:
        return None
    found = HandOver.objects.filter(pk=key.hand_over_id, expires_at__gt=timezone.now()).first()
    return found if found is not None and lifecycle.is_pending(key, found.pk) else None


def expire(now: datetime) -> int:
    """Record which links expired unused, and delete what is pending no more; return how many."""
    is_over = Q(expires_at__lte=now) | ~Q(key__hand_over_id=F("pk"))
    ended = 0
    for hand_over in HandOver.objects.filter(is_over).select_related("key"):
        with transaction.atomic():
            expired = lifecycle.expire(hand_over.key, hand_over.pk, actor=SYSTEM)
            hand_over.delete()
        ended += expired is not None
    return ended


EXPIRY = PeriodicTask("expiry of hand-over links", 60, expire)


def _normal(passphrase: str) -> str:
    """Return one form of characters that keyboards write in several."""
    return unicodedata.normalize("NFC", passphrase)
