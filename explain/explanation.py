"""Why a request was answered as it was, whether it would be now, and what changed in between."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.utils import timezone

from apikeys.audited import Action
from apikeys.guard.isolation import MAX_COMMIT_DELAY
from apikeys.limits import WINDOWS
from apikeys.models import ApiKey
from audit.models import Event
from explain import past
from explain.past import PastKey
from explain.recorded import Recorded
from explain.replay import CHECKED_CODES, Check, Situation, Verdict, replay
from gateway.audited import SERVICES
from logs.models import RequestLog

MAX_CHANGES = 20
# Events of a key that change nothing of it.
NO_CHANGES = {Action.CREATED, Action.DISMISSED, Action.BROUGHT_BACK}
# The settings that a check goes by, as audit events name them.
SETTINGS_OF = {
    Check.CREDENTIAL: {"secret version"},
    Check.STATUS: {"status", "expires"},
    Check.NETWORK: {"networks"},
    Check.LIMITS: {f"limit per {window.name}" for window in WINDOWS},
    Check.PERMISSION: {"permissions", "rules"},
    Check.CUSTOMERS: {"customers"},
    Check.SERVICE: {"is_enabled", "rules"},
    Check.RULE: {"rules"},
}


class Change(NamedTuple):
    """An audit event since the request; ``concerns``: whether the check that refused goes by it."""

    at: datetime
    subject: str
    action: str
    actor: str
    source: str
    reason: str
    changes: dict[str, Any]
    concerns: bool


class Explanation(NamedTuple):
    """``agrees``: whether the replay of then ends as the record says."""

    recorded: Recorded
    key: ApiKey | None
    then: Verdict
    now: Verdict
    agrees: bool
    changes: list[Change]
    has_more_changes: bool
    notes: list[str]

    @property
    def log(self) -> RequestLog:
        return self.recorded.log

    @property
    def summary(self) -> str:
        """Two sentences: what happened then, and what would happen now."""
        return f"{self.then_summary} {self.now_summary}"

    @property
    def cost(self) -> int:
        """What the request takes of a limit, by the rule that it meets now."""
        return self.now.cost

    @property
    def then_summary(self) -> str:
        log, then = self.log, self.then
        if not self.agrees:
            return (
                f"The record says {log.status} {log.code}, and the checks made again say"
                f" {then.code or 'that it passes'}: what is stored does not explain it."
            )
        if then.is_unknown:
            return f"Which check decided is not known. {then.detail}"
        if then.has_passed:
            return "It passed every check."
        if log.code != then.code:
            return (
                f"{then.check} refused it ({then.code}), and as too many requests from its"
                f" address had been refused, it was answered {log.code}."
            )
        return f"{then.check} refused it: {then.code}."

    @property
    def now_summary(self) -> str:
        now = self.now
        if now.has_passed:
            return "It would pass now."
        if now.is_unknown:
            return f"Whether it would pass now is not known. {now.detail}"
        again = "again" if (now.check, now.code) == (self.then.check, self.then.code) else "now"
        return f"It would be refused {again}: {now.code}. {now.detail}"


def explain(log: RequestLog) -> Explanation:
    """Replay a request against the key and the service as they were, and as they are."""
    recorded = Recorded(log)
    key = ApiKey.objects.filter(pk=log.key_id).first() if log.key_id else None
    then = _verdict_then(recorded, key)
    now = replay(recorded, _situation(recorded, key, timezone.now(), is_now=True))
    changes = list(islice(_changes(recorded, key, then), MAX_CHANGES + 1))
    return Explanation(
        recorded,
        key,
        then,
        now,
        _agrees(then, log),
        changes[:MAX_CHANGES],
        len(changes) > MAX_CHANGES,
        list(_notes(recorded, key)),
    )


def steps(explanation: Explanation) -> list[dict[str, str]]:
    """Return the checks of both replays, in their order, and how each went."""
    then, now = explanation.then, explanation.now
    checks = dict.fromkeys((*then.passed, then.check, *now.passed, now.check))
    return [
        {"check": check.value, "then": _state(then, check), "now": _state(now, check)}
        for check in checks
        if check is not None
    ]


def _state(verdict: Verdict, check: Check) -> str:
    if check == verdict.check:
        return "refused" if verdict.is_refused else "not known"
    return "passed" if check in verdict.passed else "not reached"


def _verdict_then(recorded: Recorded, key: ApiKey | None) -> Verdict:
    """Return the verdict that agrees with the record, where the key changed at about that time."""
    log = recorded.log
    began, ended = log.at, log.at + timedelta(microseconds=log.duration)
    first = replay(recorded, _situation(recorded, key, began))
    if _agrees(first, log):
        return first
    for moment in (ended, *_moments_of_changes(recorded, key, ended)):
        verdict = replay(recorded, _situation(recorded, key, moment))
        if _agrees(verdict, log):
            return verdict
    return first


def _moments_of_changes(
    recorded: Recorded, key: ApiKey | None, ended: datetime
) -> Iterator[datetime]:
    """Yield the times around changes that the request may have met or not.

    A change has its time before it commits, and by the clock of its own host.
    """
    for event in _events(recorded, key):
        if event.created_at < ended - MAX_COMMIT_DELAY:
            return
        if event.created_at <= ended + MAX_COMMIT_DELAY:
            yield event.created_at
            yield event.created_at - timedelta(microseconds=1)


def _situation(
    recorded: Recorded, key: ApiKey | None, at: datetime, *, is_now: bool = False
) -> Situation:
    name = recorded.log.service
    if is_now:
        present = None if key is None else PastKey(key, None, frozenset())
        return Situation(at, True, present, past.service_now(name) if name else None)
    found = None if key is None else past.key_at(key, at)
    return Situation(at, False, found, past.service_at(name, at) if name else None)


def _agrees(verdict: Verdict, log: RequestLog) -> bool:
    if verdict.is_unknown:
        return True
    if verdict.has_passed:
        return log.code not in CHECKED_CODES
    # What is counted against an address is answered so in place of the 401.
    is_counted = log.code == "too_many_failures" and verdict.status == 401
    return is_counted or verdict.code == log.code


def _events(recorded: Recorded, key: ApiKey | None) -> list[Event]:
    """Return the events of the key and of the service, newest first."""
    events: list[Event] = [] if key is None else list(past.events_of_key(key))
    if recorded.log.service:
        events += past.events_of_service(recorded.log.service)
    return sorted(events, key=lambda event: event.created_at, reverse=True)


def _changes(recorded: Recorded, key: ApiKey | None, then: Verdict) -> Iterator[Change]:
    wanted = SETTINGS_OF.get(then.check, set()) if then.check else set()
    for event in _events(recorded, key):
        if event.created_at <= recorded.log.at:
            return
        is_of_key = event.object_type != SERVICES.model
        if is_of_key and event.action in NO_CHANGES:
            # The request came with it, so only its time is later: by another host's clock.
            continue
        yield Change(
            event.created_at,
            "key" if is_of_key else f"service {recorded.log.service}",
            event.get_action_display(),
            event.actor_name,
            event.get_source_display(),
            event.reason,
            event.changes,
            not wanted.isdisjoint(event.changes),
        )


def _notes(recorded: Recorded, key: ApiKey | None) -> Iterable[str]:
    """Yield what the checks do not tell, and the record does."""
    log = recorded.log
    if key is not None or log.code not in {"key_invalid", "too_many_failures"}:
        return
    claimed = recorded.claimed_key()
    if claimed is None:
        yield (
            "No key has the key id that was sent, or none was kept. Check the credential of"
            " whoever calls."
        )
        return
    yield (
        f"The key id that was sent is that of {claimed.name} ({claimed.pk}), so the secret did not"
        " match: it was replaced, or not copied whole."
    )
    last = claimed.secrets.exclude(retires_at=None).filter(retires_at__lte=log.at).first()
    if last is not None:
        yield (
            f"Version {last.number} of its secret stopped being accepted at"
            f" {last.retires_at:%Y-%m-%d %H:%M:%S} UTC."
        )
