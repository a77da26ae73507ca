"""Counters in Redis: shared by web processes on any number of hosts, on Redis' own clock.

While Redis is down, ``CountersUnavailable`` refuses every request: nothing passes unmetered.
"""

import hashlib
import threading
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

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
from database.circuit_breaker import CircuitBreaker

TIMEOUT_SECONDS = 0.7
PREFIX = "latchkey:"


class RedisCounters:
    """A ``Store`` in Redis. One script a request decides on all windows together."""

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # A script that was sent may have counted: sending it again would count twice.
            retry=Retry(NoBackoff(), 0),
        )
        self._local = threading.local()
        self._script = files("apikeys.limiter").joinpath("hit.lua").read_text("utf-8")
        # How Redis names a script (the EVALSHA command's documentation); not for security.
        self._digest = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._breaker = CircuitBreaker()

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
        if self._breaker.is_open:
            raise counters_unavailable("Redis did not answer a moment ago")
        try:
            connection = self._connected()
            try:
                return self._ask(connection, "EVALSHA", self._digest, 1, subject, *arguments)
            except NoScriptError:
                return self._ask(connection, "EVAL", self._script, 1, subject, *arguments)
        except (RedisError, OSError) as error:
            self._forget()
            self._breaker.open()
            raise counters_unavailable(f"Redis: {error}") from error

    def _connected(self) -> ConnectionInterface:
        """Return this thread's connection, replaced if the server has closed it.

        The client's pool would do as well and cost more than the answer takes to arrive.
        """
        connection: ConnectionInterface | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._pool.make_connection()
            connection.connect()
            self._local.connection = connection
        elif self._is_closed(connection):
            connection.disconnect()
            connection.connect()
        return connection

    @staticmethod
    def _is_closed(connection: ConnectionInterface) -> bool:
        try:
            # No command is in flight: readable data means that the server closed the connection.
            return bool(connection.can_read(0))
        except (RedisError, OSError):
            return True

    def _forget(self) -> None:
        """Close the connection: a late reply must not be read as the next one."""
        connection: ConnectionInterface | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.disconnect()

    @staticmethod
    def _ask(connection: ConnectionInterface, *command: Any) -> list[int]:
        connection.send_packed_command(connection.pack_command(*command), check_health=False)
        answer: list[int] = connection.read_response()
        return answer
