"""Rate limits: the windows, how a limit is written, and the numbers a key is held to."""

import re
from typing import NamedTuple

MAX_LIMIT = 1_000_000_000

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
SPELLINGS = {
    "s": "second",
    "sec": "second",
    "second": "second",
    "m": "minute",
    "min": "minute",
    "minute": "minute",
    "h": "hour",
    "hour": "hour",
    "d": "day",
    "day": "day",
}
RATE = re.compile(r"(\d{1,10})/([a-z]+)", re.ASCII)


class Limits(NamedTuple):
    """Requests admitted in any rolling minute, hour and day; 0 blocks."""

    minute: int
    hour: int
    day: int


class Rate(NamedTuple):
    """A number of requests in a rolling span of ``seconds``."""

    limit: int
    seconds: int


def parse_rate(text: str) -> Rate:
    """Read ``60/min``, ``1000/hour`` and the like; raise ``ValueError`` for anything else."""
    number, unit = _split(text)
    return Rate(number, SECONDS[unit])


def parse_limits(text: str, base: Limits) -> Limits:
    """Read ``600/min,20000/hour,200000/day``; a window left out keeps its number from ``base``.

    Raises ``ValueError`` for another unit, a window named twice or a number that is too large.
    """
    numbers: dict[str, int] = {}
    for part in text.split(","):
        number, unit = _split(part)
        if unit not in Limits._fields or unit in numbers:
            raise ValueError(part)
        numbers[unit] = number
    return base._replace(**numbers)


def _split(text: str) -> tuple[int, str]:
    match = RATE.fullmatch(text.strip().lower())
    if match is None or match[2] not in SPELLINGS or int(match[1]) > MAX_LIMIT:
        raise ValueError(text)
    return int(match[1]), SPELLINGS[match[2]]
