"""The chain: each event is sealed with a hash that covers it and the seal before.

Sealed are events at the commit of their transaction, under a lock that is taken last and held for
the commit alone: the order of the chain is the order of commits, without a gap. What a chain proves
and what it does not is in ``docs/decisions.md``.

What an event says of its object is covered by a salted digest of its own, so that it can be deleted
with a customer: the salt goes with it, and the chain stays whole.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef, Subquery

from audit.kinds import kinds
from audit.models import Event, Seal

# Any number that no other code locks by.
LOCK = 0x1A7C4B1E
# One round trip. Deferred checks may wait for others' locks, so they come before this one. A host
# that stands still between lock and commit is hung up on, or all who write would wait for it.
TAKE_TURN = f"""
SET CONSTRAINTS ALL IMMEDIATE;
SET LOCAL idle_in_transaction_session_timeout = '5s';
SELECT pg_advisory_xact_lock({LOCK});
"""
HEAD = "SELECT sequence, hash FROM audit_seal ORDER BY sequence DESC LIMIT 1"
NONE = "0" * 64
# After this action the contents of an object's events may be gone.
DELETED = "deleted"
CHUNK = 1000


class Head(NamedTuple):
    """The end of the chain; ``NONE`` at 0 before the first event."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


class Fault(NamedTuple):
    """The first place where the chain does not hold."""

    sequence: int | None
    event: str
    problem: str


def seal(ids: list[Any]) -> None:
    """Append the events of these ids to the chain; called as the last work of a transaction."""
    # Read back, so that what is sealed is what is stored.
    events = Event.objects.in_bulk(ids)
    in_order = [events[identifier] for identifier in ids]
    Seal.objects.bulk_create(seals(in_order, _take_head(), Seal))


def seals(events: Iterable[Any], head: Head, model: Any) -> Iterator[Any]:
    """Return the seals of events that follow ``head``."""
    for event in events:
        salt = secrets.token_hex(16)
        content = content_digest(event, salt)
        head = following(head, event, content)
        yield model(
            sequence=head.sequence, event_id=event.pk, salt=salt, content=content, hash=head.hash
        )


def following(head: Head, event: Any, content: str) -> Head:
    sequence = head.sequence + 1
    covered = [
        sequence,
        head.hash,
        str(event.pk),
        _moment(event.created_at),
        event.source,
        event.actor_name,
        event.actor_id,
        event.address,
        event.action,
        event.object_type,
        event.object_id,
        event.environment,
        content,
    ]
    return Head(sequence, hashlib.sha256(_canonical(covered)).hexdigest())


def content_digest(event: Any, salt: str) -> str:
    """Return the digest of what may be deleted with the object."""
    said = [salt, event.object_label, event.reason, event.changes]
    return hashlib.sha256(_canonical(said)).hexdigest()


def _canonical(value: Any) -> bytes:
    # The text that the database keeps: ``changes`` is text there too, in the order of its members.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _moment(timestamp: datetime) -> str:
    return timestamp.astimezone(UTC).isoformat(timespec="microseconds")


def head() -> Head:
    with connection.cursor() as cursor:
        return _read_head(cursor)


def _take_head() -> Head:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(TAKE_TURN + HEAD)
            while cursor.nextset():
                pass
            return _fetched(cursor)
        # SQLite has one writer at a time: the transaction is the lock.
        return _read_head(cursor)


def _read_head(cursor: Any) -> Head:
    cursor.execute(HEAD)
    return _fetched(cursor)


def _fetched(cursor: Any) -> Head:
    row = cursor.fetchone()
    return Head(*row) if row else Head(0, NONE)


class Report(NamedTuple):
    """What a verification found."""

    head: Head
    events: int
    erased: int
    fault: Fault | None


def verify(expected: Head | None = None) -> Report:
    """Check the whole chain, then what stands outside of it, then that ``expected`` is in it."""
    # What is committed meanwhile is beyond this end, and is no fault.
    last = head()
    previous, erased, seen_expected = Head(0, NONE), 0, expected in (None, Head(0, NONE))
    for row, event in _rows(last.sequence):
        if row.sequence != previous.sequence + 1:
            gap = Fault(previous.sequence + 1, "", "was removed, with its seal")
            return Report(last, previous.sequence, erased, gap)
        if problem := _problem(row, event, previous):
            broken = Fault(row.sequence, str(row.event_id), problem)
            return Report(last, previous.sequence, erased, broken)
        erased += not row.salt
        previous = Head(row.sequence, row.hash)
        seen_expected = seen_expected or previous == expected
    fault: Fault | None = _outside() or _unjustified()
    if fault is None and not seen_expected and expected is not None:
        problem = (
            "is not the event that was noted: the chain was written anew"
            if expected.sequence <= last.sequence
            else f"was noted, but the chain ends at {last.sequence}: its end was cut off"
        )
        fault = Fault(expected.sequence, "", problem)
    return Report(last, previous.sequence, erased, fault)


def verify_end(number: int) -> Fault | None:
    """Return the first fault in the newest ``number`` events, or None."""
    last = head()
    first = Seal.objects.filter(sequence=last.sequence - number).first()
    previous = Head(first.sequence, first.hash) if first else Head(0, NONE)
    if first is None and last.sequence > number:
        return Fault(last.sequence - number, "", "was removed, with its seal")
    for row, event in _rows(last.sequence, after=previous.sequence):
        if row.sequence != previous.sequence + 1:
            return Fault(previous.sequence + 1, "", "was removed, with its seal")
        if problem := _problem(row, event, previous):
            return Fault(row.sequence, str(row.event_id), problem)
        previous = Head(row.sequence, row.hash)
    newest = list(Event.objects.order_by("-pk").values_list("pk", flat=True)[:number])
    sealed = set(Seal.objects.filter(event_id__in=newest).values_list("event_id", flat=True))
    strangers = [identifier for identifier in newest if identifier not in sealed]
    if not strangers:
        return None
    return Fault(None, str(strangers[-1]), "was put in: it has no place in the chain")


def _rows(last: int, *, after: int = 0) -> Iterator[tuple[Seal, Event | None]]:
    position = after
    while position < last:
        rows = list(
            Seal.objects.filter(sequence__gt=position, sequence__lte=last).order_by("sequence")[
                :CHUNK
            ]
        )
        if not rows:
            return
        events = Event.objects.in_bulk([row.event_id for row in rows])
        for row in rows:
            yield row, events.get(row.event_id)
        position = rows[-1].sequence


def _problem(row: Seal, event: Event | None, previous: Head) -> str:
    if event is None:
        return "was removed"
    if row.salt:
        if content_digest(event, row.salt) != row.content:
            return "was altered: what it says of its object is not what was sealed"
    elif event.object_label or event.reason or event.changes:
        return "was altered: it says something of an object that was deleted"
    if following(previous, event, row.content).hash != row.hash:
        return "was altered, or its seal was"
    return ""


def _outside() -> Fault | None:
    """Return an event that has no seal: it was put in by another way than the product's."""
    sealed = Seal.objects.filter(event_id=OuterRef("pk"))
    stranger = Event.objects.filter(~Exists(sealed)).order_by("pk").first()
    if stranger is None:
        return None
    return Fault(None, str(stranger.pk), "was put in: it has no place in the chain")


def _unjustified() -> Fault | None:
    """Return an event whose contents are gone though its object was not deleted after it.

    Contents of other kinds of objects are never deleted.
    """
    forgotten = [kind.model for kind in kinds().values() if kind.is_forgotten]
    erased = Seal.objects.filter(event_id=OuterRef("pk"), salt="").values("sequence")
    deletions = Event.objects.filter(
        object_type=OuterRef("object_type"),
        object_id=OuterRef("object_id"),
        action=DELETED,
        object_type__in=forgotten,
    )
    later = deletions.filter(
        Exists(
            Seal.objects.filter(
                event_id=OuterRef("pk"), sequence__gt=OuterRef(OuterRef("erased_sequence"))
            )
        )
    )
    event: Any = (
        Event.objects.filter(pk__in=Seal.objects.filter(salt="").values("event_id"))
        .annotate(erased_sequence=Subquery(erased))
        .filter(~Exists(later))
        .order_by("pk")
        .first()
    )
    if event is None:
        return None
    return Fault(event.erased_sequence, str(event.pk), "was emptied, and its object is not deleted")
