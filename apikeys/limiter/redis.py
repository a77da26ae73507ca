"""Counters in Redis: shared by web processes on any number of hosts, on Redis' own clock.

While Redis is down, ``CountersUnavailable`` refuses every request: nothing passes unmetered.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from redis.exceptions import NoScriptError, RedisError

from apikeys.limiter.store import (
    MAX_BACKWARD,
    NEVER,
    SLOTS,
    Decision,
    Window,
    counters_unavailable,
    require_countable,
)
from apikeys.limits import MAX_LIMIT
from database.redis import clients

PREFIX = "latchkey:"


class RedisCounters:
    """A ``Store`` in Redis. One script a request decides on all windows together."""

    def __init__(self, url: str) -> None:
        self._commands = clients.commands(url)
        self._script = files("apikeys.limiter").joinpath("hit.lua").read_text("utf-8")
        # How Redis names a script (the EVALSHA command's documentation); not for security.
        self._digest = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    def hit(self, subject: str, windows: Sequence[Window], cost: int = 1) -> Decision:
        return self._decide(subject, windows, cost, 1)

    def peek(self, subject: str, windows: Sequence[Window], cost: int = 1) -> Decision:
        return self._decide(subject, windows, cost, 0)

    def ping(self) -> None:
        self.hit("ping", (Window("ping", MAX_LIMIT, 1),))

    def sweep(self) -> int:
        """Do nothing: Redis expires a subject when its longest window has passed."""
        return 0

    def _decide(self, subject: str, windows: Sequence[Window], cost: int, counts: int) -> Decision:
        require_countable(windows, cost)
        arguments: list[int] = [counts, cost, SLOTS, MAX_BACKWARD, NEVER]
        for window in windows:
            arguments += (window.limit, window.seconds)
        answer = self._run(PREFIX + subject, arguments)
        number = len(windows)
        waits, remaining = answer[:number], answer[number : 2 * number]
        return Decision(not any(waits), windows, waits, remaining, answer[2 * number :])

    def _run(self, subject: str, arguments: list[int]) -> list[int]:
        execute = self._commands.execute
        try:
            answer: list[int]
            try:
                answer = execute(subject, "EVALSHA", self._digest, 1, subject, *arguments)
            except NoScriptError:
                answer = execute(subject, "EVAL", self._script, 1, subject, *arguments)
        except (RedisError, OSError) as error:
            raise counters_unavailable(f"Redis: {error}") from error
        return answer
