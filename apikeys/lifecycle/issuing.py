"""The secrets of a key, and what every change of one begins and ends with: lock, and revision."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apikeys import credentials
from apikeys.audited import Action
from apikeys.environments import Environment
from apikeys.models import ApiKey, SecretVersion
from apikeys.peppers import Peppers
from apikeys.validation import require_proof
from audit.actors import Actor
from audit.models import Event
from audit.trail import record
from database.refusals import Conflict, Refused

MAX_ACCEPTED_SECRETS = 5
MAX_OVERLAP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and the only copy there will ever be of its whole credential."""

    key: ApiKey
    credential: str = field(repr=False)


def locked(key_id: str) -> ApiKey:
    # Locked before it is read, or two actions would start from the same state. On SQLite
    # the transaction itself is the lock (BEGIN IMMEDIATE).
    return ApiKey.objects.select_for_update().get(pk=key_id)


def refuse_stale(key: ApiKey, revision: int | None) -> None:
    if revision is not None and revision != key.revision:
        last = Event.objects.about(key).first()
        who = f" by {last.actor_name}" if last else ""
        raise Conflict(
            f"The key was changed{who} after this page was opened. Reload it and try again."
        )


def touch(key: ApiKey, *changed: str) -> None:
    key.revision += 1
    key.save(update_fields=["revision", *changed])


def withdrawal(key: ApiKey) -> dict[str, list[str]]:
    """Return what the trail says where a change withdraws the hand-over that is pending."""
    return {"hand-over": ["pending", "withdrawn"]} if key.hand_over_id else {}


def regenerate(
    key: ApiKey, *, actor: Actor, overlap: timedelta = timedelta(0), version: int | None = None
) -> IssuedKey:
    """Give the key a new secret; the old one stops now, or after ``overlap`` (up to 7 days).

    A hand-over that is pending is withdrawn. With ``version``, refuse unless that is still the
    current secret's number, 0 for none, so that a form sent twice cannot replace the secret that
    the first has just shown.
    """
    with transaction.atomic():
        key = locked(key.pk)
        if version is not None and version != current_version(key):
            raise Conflict(
                "This key was regenerated a moment ago and the new secret was shown then."
                " Reload the page and regenerate again if nobody copied it."
            )
        require_proof(key.environment, actor)
        withdrawn = withdrawal(key)
        issued, changes = replace_secret(key, overlap)
        record(key, Action.REGENERATED, actor, changes | withdrawn)
    return issued


def current_version(key: ApiKey) -> int:
    """Return the number of the current secret; 0 for a key that has none yet."""
    current = key.secrets.filter(retires_at=None).first()
    return current.number if current else 0


def replace_secret(key: ApiKey, overlap: timedelta) -> tuple[IssuedKey, dict[str, Any]]:
    """Give a locked key a new secret; return it with what the trail says of the change."""
    now = timezone.now()
    refuse_overlap(key, overlap)
    number = current_version(key)
    _retire(key, overlap)
    changes: dict[str, Any] = {"secret version": [number or None, number + 1]}
    if number:
        changes["old secret stops"] = [None, (now + overlap).isoformat() if overlap else "at once"]
    key.is_awaiting, key.hand_over_id = False, None
    touch(key, "is_awaiting", "hand_over_id")
    return issue(key, number=number + 1), changes


def refuse_overlap(key: ApiKey, overlap: timedelta) -> None:
    """Raise ``Refused`` unless the old secret may go on for ``overlap``."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Refused(
            f"The overlap is out of range. Choose 0 to {MAX_OVERLAP.days} days.", field="overlap"
        )
    if overlap and key.is_revoked:
        raise Refused(
            "The key is revoked, so its old secret must not live on. Regenerate without overlap.",
            field="overlap",
        )


@sensitive_variables("secret")
def issue(key: ApiKey, *, number: int) -> IssuedKey:
    secret = credentials.new_secret()
    peppers: Peppers = settings.API_KEY_PEPPERS
    SecretVersion.objects.create(
        key=key,
        number=number,
        pepper=peppers.newest,
        digest=peppers.sign(
            peppers.newest, environment=key.environment, key_id=key.pk, secret=secret
        ),
        created_at=timezone.now(),
    )
    environment = Environment(key.environment)
    credential = credentials.compose(settings.API_KEY_PREFIX, environment, key.pk, secret)
    return IssuedKey(key, credential)


def _retire(key: ApiKey, overlap: timedelta) -> None:
    now = timezone.now()
    # Without its digest a secret opens nothing, whatever the clock of another host says.
    key.secrets.filter(retires_at__lte=now).update(digest="")
    if not overlap:
        key.secrets.accepted(now).update(retires_at=now, digest="")
        return
    if key.secrets.accepted(now).count() >= MAX_ACCEPTED_SECRETS:
        raise Refused(
            f"{MAX_ACCEPTED_SECRETS} secrets of this key are still accepted. Wait until an"
            " overlap ends, or regenerate without one to stop them all.",
            field="overlap",
        )
    key.secrets.filter(retires_at=None).update(retires_at=now + overlap)
