"""Prints what applying a manifest does, as a difference: ``+`` comes, ``-`` goes, ``~`` changes."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from provisioning.manifests.applying import Action, Step

SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.REMOVE: "-", Action.UNCHANGED: " "}


def plan_lines(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the plan: what changes, then what widens a key, then how many of each."""
    steps = list(steps)
    for step in steps:
        if step.action == Action.UNCHANGED:
            continue
        yield f"{SIGNS[step.action]} {step.verb} {step.kind} {step.identity}{_noted(step)}"
        yield from _changes(step)
    widening = [(step.identity, *right) for step in steps for right in step.widening]
    if widening:
        yield "! Keys gain rights:"
        yield from (f"!   {identity}: {setting} {gained}" for identity, setting, gained in widening)
    for step in steps:
        if step.action == Action.UNCHANGED and step.note:
            yield f"  {step.kind} {step.identity}{_noted(step)}"
    counts = Counter(step.verb for step in steps)
    yield (
        ", ".join(
            f"{counts[verb]:,} to {verb}" for verb in ("create", "change", "revoke", "delete")
        )
        + f", {counts['unchanged']:,} unchanged."
    )


def _noted(step: Step) -> str:
    return f" ({step.note})" if step.note else ""


def _changes(step: Step) -> Iterator[str]:
    for name, (before, after) in step.changes.items():
        if isinstance(before, list) and isinstance(after, list):
            yield from (f"    - {name}: {_text(item)}" for item in before if item not in after)
            yield from (f"    + {name}: {_text(item)}" for item in after if item not in before)
            if sorted(map(_text, before)) == sorted(map(_text, after)):
                yield f"    ~ {name}: another order"
        elif step.action == Action.CREATE:
            yield f"    + {name}: {_text(after)}"
        else:
            yield f"    ~ {name}: {_text(before)} -> {_text(after)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
