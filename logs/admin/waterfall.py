"""Where the time of a request went, as the bars of a waterfall.

Of its duration the record names phases; the rest is what came before the key was looked up,
and the checks in between.
"""

from typing import NamedTuple

from logs.capture.record import PHASES
from logs.models import Kind, RequestLog

LABELS = {
    "rest": "Server, routing and checks",
    "lookup": "Key lookup",
    "limiter": "Rate limiter",
    "view": "View",
    "record": "Request log record",
}
# Of the thousand that the whole bar is wide.
MIN_WIDTH = 4


class Bar(NamedTuple):
    """A phase: its milliseconds, and where its bar begins and how wide it is, in thousandths."""

    name: str
    label: str
    milliseconds: float
    x: int
    width: int


def bars_of(record: RequestLog) -> list[Bar]:
    """Return the phases in their order; none of a request that was recorded without them."""
    if not record.phases or not record.duration:
        return []
    named = dict(zip(PHASES, map(int, record.phases.split(",")), strict=True))
    times = {"rest": max(0, record.duration - sum(named.values())), **named}
    labels = LABELS | {"view": "Decision"} if record.kind == Kind.DECISION else LABELS
    bars, began = [], 0
    for name, time in times.items():
        x = min(began * 1000 // record.duration, 1000 - MIN_WIDTH)
        width = min(max(time * 1000 // record.duration, MIN_WIDTH if time else 0), 1000 - x)
        bars.append(Bar(name, labels[name], time / 1000, x, width))
        began += time
    return bars
