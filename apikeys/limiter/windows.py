"""The arithmetic of rolling windows, over the bytes a store keeps for a subject.

All numbers are little-endian doubles; whole microseconds are exact in them until the year
2255. First a header of six for each window: units in total; when the newest slot was opened,
when its last admission was and how many units it holds; when the oldest slot's last admission
was; how many slots are closed. Then each window's closed slots in turn, oldest first: last
admission, how many units. Most requests change headers only, so a decision costs the
same however full a window is. ``hit.lua`` does the same to the same bytes.
"""

import struct
from collections.abc import Sequence
from functools import cache, lru_cache

from apikeys.limiter.store import MAX_BACKWARD, MICROSECONDS, NEVER, SLOTS, Decision, Window

FIELDS = 6
NOTHING = (0.0,) * FIELDS
_FIELDS = struct.Struct(f"<{FIELDS}d")
_SLOT = struct.Struct("<dd")


@cache
def _header(windows: int) -> struct.Struct:
    return struct.Struct(f"<{windows * FIELDS}d")


@lru_cache(maxsize=4096)
def _growing(windows: tuple[Window, ...]) -> tuple[tuple[int, float, float], ...] | None:
    """Return the limit, the span and a slot's span of each; None if one never shares a slot."""
    if any(window.limit <= SLOTS for window in windows):
        return None
    spans = [(window.limit, float(window.seconds * MICROSECONDS)) for window in windows]
    return tuple((limit, span, span / SLOTS) for limit, span in spans)


class _Counter:
    """What one window counts at ``now``."""

    __slots__ = ("closed", "count", "limit", "newest", "now", "oldest", "opened", "span", "total")

    def __init__(
        self, window: Window, header: tuple[float, ...], closed: bytes, now: float
    ) -> None:
        self.limit = window.limit
        self.span = float(window.seconds * MICROSECONDS)
        self.total, self.opened, self.newest, self.count, self.oldest, _ = header
        self.closed = closed
        if self.newest > now:
            if self.newest > now + MAX_BACKWARD:
                self.total, self.closed = 0.0, b""
            else:
                now = self.newest
        self.now = now
        if self.total and self.oldest <= now - self.span:
            self._expire(now - self.span)

    def _expire(self, expired: float) -> None:
        """Drop the slots whose last admission was at ``expired`` or before."""
        first = 0
        for time, count in _SLOT.iter_unpack(self.closed):
            if time > expired:
                self.oldest = time
                break
            self.total -= count
            first += _SLOT.size
        else:
            self.oldest = self.newest
            if self.newest <= expired:
                self.total = 0.0
        self.closed = self.closed[first:]

    def wait(self, cost: int) -> int:
        """Return the microseconds until ``cost`` more units fit, 0 if they do."""
        surplus = self.total + cost - self.limit
        if surplus <= 0:
            return 0
        if cost > self.limit:
            return NEVER
        for time, count in _SLOT.iter_unpack(self.closed):
            surplus -= count
            if surplus <= 0:
                return int(time + self.span - self.now)
        return int(self.newest + self.span - self.now)

    def reset(self) -> int:
        """Return the microseconds until there is more room than now; 0 if all is free."""
        if self.total >= self.limit:
            return self.wait(1)
        return int(self.oldest + self.span - self.now) if self.total else 0

    def add(self, cost: int) -> None:
        """Count an admission: in the newest slot while that may grow, else in a new one.

        A small window keeps each admission apart.
        """
        if not self.total:
            self.oldest, self.opened, self.count = self.now, self.now, 0.0
        elif self.limit <= SLOTS or self.now - self.opened >= self.span / SLOTS:
            self.closed += _SLOT.pack(self.newest, self.count)
            self.opened, self.count = self.now, 0.0
        elif not self.closed:
            self.oldest = self.now
        self.newest = self.now
        self.count += cost
        self.total += cost


def decide(
    state: bytes, windows: Sequence[Window], now: int, cost: int, *, counts: bool
) -> tuple[Decision, bytes]:
    """Return the decision on ``cost`` units at ``now`` (microseconds) and the state to keep.

    The state comes back as it was unless the request is admitted and ``counts``.
    """
    if counts and state:
        quick = _grow(state, windows, float(now), cost)
        if quick is not None:
            return quick
    counters = _read(state, windows, float(now))
    waits = [counter.wait(cost) for counter in counters]
    is_admitted = not any(waits)
    if counts and is_admitted:
        for counter in counters:
            counter.add(cost)
        state = _write(counters)
    remaining = [max(0, int(counter.limit - counter.total)) for counter in counters]
    resets = [counter.reset() for counter in counters]
    return Decision(is_admitted, windows, waits, remaining, resets), state


def _grow(
    state: bytes, windows: Sequence[Window], now: float, cost: int
) -> tuple[Decision, bytes] | None:
    """Decide where nothing but the newest slots changes, as for most requests of a busy key.

    The same as the long way, a third of its cost; None where that must be taken.
    """
    header = _header(len(windows))
    spans = _growing(tuple(windows))
    if len(state) < header.size or spans is None:
        return None
    fields = _FIELDS.iter_unpack(state[: header.size])
    slots = 0.0
    numbers: list[float] = []
    remaining: list[int] = []
    resets: list[int] = []
    for limit, span, slot in spans:
        before, opened, newest, count, oldest, closed = next(fields)
        total = before + cost
        if (
            not before
            or total > limit
            or newest > now
            or oldest <= now - span
            or now - opened >= slot
        ):
            return None
        if not closed:
            oldest = now
        numbers += (total, opened, now, count + cost, oldest, closed)
        remaining.append(int(limit - total))
        resets.append(int(oldest + span - now))
        slots += closed
    if len(state) != header.size + slots * _SLOT.size:
        return None
    decision = Decision(True, windows, (0,) * len(windows), remaining, resets)
    return decision, header.pack(*numbers) + state[header.size :]


def _read(state: bytes, windows: Sequence[Window], now: float) -> list[_Counter]:
    header = _header(len(windows))
    numbers = NOTHING * len(windows)
    if len(state) >= header.size:
        stored = header.unpack_from(state)
        # The length is another one where the state was written for another number of windows.
        if len(state) == header.size + sum(stored[FIELDS - 1 :: FIELDS]) * _SLOT.size:
            numbers = stored
    counters = []
    start, first = header.size, 0
    for window in windows:
        end = start + int(numbers[first + FIELDS - 1]) * _SLOT.size
        counters.append(_Counter(window, numbers[first : first + FIELDS], state[start:end], now))
        start, first = end, first + FIELDS
    return counters


def _write(counters: list[_Counter]) -> bytes:
    numbers: list[float] = []
    for counter in counters:
        numbers += (
            counter.total,
            counter.opened,
            counter.newest,
            counter.count,
            counter.oldest,
            len(counter.closed) // _SLOT.size,
        )
    header = _header(len(counters)).pack(*numbers)
    return header + b"".join([counter.closed for counter in counters])
