"""Rate limits: the windows, one row each, and how a limit is written.

Fields, forms, commands, the API, audit and headers loop over ``WINDOWS``; CONTRIBUTING.md says
how to add one.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, TypedDict

from database.refusals import Refused

MAX_LIMIT = 1_000_000_000
MAX_DIGITS = 20
RATE = re.compile(r"(\d{1,10})/([a-z]+)", re.ASCII)


class LimitWindow(NamedTuple):
    """A rolling window in which every key is limited.

    ``default``: the default in production, which other environments divide. ``units``: how a rate
    names the window; documents use the first.
    """

    name: str
    seconds: int
    default: int
    units: tuple[str, ...]

    @property
    def field(self) -> str:
        return f"limit_{self.name}"


WINDOWS = (
    LimitWindow("minute", 60, 600, ("min", "minute", "m")),
    LimitWindow("hour", 3_600, 20_000, ("hour", "h")),
    LimitWindow("day", 86_400, 200_000, ("day", "d")),
)
LIMIT_FIELDS = tuple(window.field for window in WINDOWS)

_WINDOW_OF = {unit: window for window in WINDOWS for unit in window.units}
_SECONDS = {"s": 1, "sec": 1, "second": 1} | {
    unit: window.seconds for unit, window in _WINDOW_OF.items()
}

# Requests admitted in each of ``WINDOWS``, in their order; 0 blocks.
Limits = tuple[int, ...]


class LimitFields(TypedDict, total=False):
    """A key's own limits; None for the environment's default, 0 to block."""

    limit_minute: int | None
    limit_hour: int | None
    limit_day: int | None


class Rate(NamedTuple):
    """A number of requests in a rolling span of ``seconds``."""

    limit: int
    seconds: int


def by_window(numbers: Iterable[int]) -> dict[str, int]:
    return {window.name: number for window, number in zip(WINDOWS, numbers, strict=True)}


@lru_cache(maxsize=4096)
def in_force(own: tuple[int | None, ...], defaults: Limits) -> Limits:
    pairs = zip(own, defaults, strict=True)
    return tuple(default if limit is None else limit for limit, default in pairs)


def is_wider(limit: int | None, *, own: int | None, held_to: int) -> bool:
    """Say whether ``limit`` admits more than a key's own, to which it is held now.

    The default, None, may be raised later, so only a key that follows it has it already.
    """
    return own is not None if limit is None else limit > held_to


def parse_rate(text: str) -> Rate:
    """Read ``60/min``, ``1000/hour`` and the like; raise ``ValueError`` for anything else."""
    number, unit = _split(text)
    return Rate(number, _SECONDS[unit])


def parse_limit(text: str) -> int | None:
    """Read one limit, or ``default`` for the environment's."""
    if text == "default":
        return None
    # ``int`` also reads 1_000 and the digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Refused(f"{text!r} is not a limit. Write a whole number, or default.")
    return int(text)


def parse_limits(text: str, base: Limits) -> Limits:
    """Read ``600/min,20000/hour,200000/day``; a window left out keeps its number from ``base``.

    Raises ``ValueError`` for another unit, a window named twice or a number that is too large.
    """
    numbers: dict[str, int] = {}
    for part in text.split(","):
        number, unit = _split(part)
        window = _WINDOW_OF.get(unit)
        if window is None or window.name in numbers:
            raise ValueError(part)
        numbers[window.name] = number
    return tuple((by_window(base) | numbers).values())


def write_limits(limits: Limits) -> str:
    return ",".join(
        f"{number}/{window.units[0]}" for window, number in zip(WINDOWS, limits, strict=True)
    )


def _split(text: str) -> tuple[int, str]:
    match = RATE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _SECONDS or int(match[1]) > MAX_LIMIT:
        raise ValueError(text)
    return int(match[1]), match[2]
