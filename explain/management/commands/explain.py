"""``manage.py explain``: why a request was refused, and whether it would be now."""

import json
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json
from apikeys.management.base_command import LineCommand
from database import timestamps
from database.refusals import Refused
from explain.explanation import Explanation, explain, steps
from explain.replay import Verdict
from logs.models import RequestLog


class Command(LineCommand):
    """Explains."""

    help = "Say why a request was refused, what has changed since, and whether it would pass now."
    examples = ("explain 01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c45",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("request_id", help="the X-Request-ID of its answer")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        explanation = explain(_find(options["request_id"]))
        if options["json"]:
            self.stdout.write(json.dumps(as_json(explanation)))
            return
        self._write(explanation)

    def _write(self, explanation: Explanation) -> None:
        log, key = explanation.log, explanation.key
        self.stdout.write(f"{log.method} {log.path}: {log.status} {log.code}".strip())
        self.stdout.write(f"at {timestamps.text(log.at)}, {f'key {key}' if key else 'no key'}")
        self.stdout.write("")
        for sentence in (explanation.summary, *explanation.notes):
            self.stdout.write(sentence)
        self.stdout.write("")
        for check in steps(explanation):
            self.stdout.write(f"{check['check']:28} {check['then']:12} {check['now']}")
        for change in explanation.changes:
            said = "; ".join(
                f"{name}: {_shown(before)} -> {_shown(after)}"
                for name, (before, after) in change.changes.items()
            )
            self.stdout.write(
                f"\n{timestamps.text(change.at)} {change.subject} {change.action.lower()}"
                f" by {change.actor} ({change.source.lower()}): {said}"
            )


def _find(text: str) -> RequestLog:
    try:
        log = RequestLog.objects.filter(pk=UUID(text)).first()
    except ValueError:
        raise Refused(
            f"{text!r} is not a request id. Copy X-Request-ID from the answer's headers."
        ) from None
    if log is None:
        raise Refused(
            f"There is no request {text!r} in the log. It may be a second old, or past the"
            " retention."
        )
    return log


def as_json(explanation: Explanation) -> dict[str, Any]:
    log = explanation.log
    return {
        "request": str(log.pk),
        "at": timestamps.text(log.at),
        "status": log.status,
        "code": log.code or None,
        "key": log.key_id,
        "service": log.service,
        "summary": explanation.summary,
        "then": _verdict(explanation.then) | {"agrees": explanation.agrees},
        "now": _verdict(explanation.now),
        "checks": steps(explanation),
        "changes": [
            change._asdict() | {"at": timestamps.text(change.at)} for change in explanation.changes
        ],
        "notes": explanation.notes,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    outcome = "passed" if verdict.has_passed else "refused" if verdict.is_refused else "unknown"
    return {
        "outcome": outcome,
        "check": verdict.check and verdict.check.value,
        "code": verdict.code or None,
        "detail": verdict.detail,
    }


def _shown(value: Any) -> str:
    return "none" if value is None else str(value).replace("\n", " | ")
