"""A primary and its replicas, of which sentinels say which one is the primary now."""

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from redis import exceptions
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, RedisError

from database.circuit_breaker import CircuitBreaker
from database.redis.address import Address
from database.redis.server import Server

# A sentinel that answers nothing must leave time to ask another, and the primary.
SENTINEL_SECONDS = 0.2
ASK_SECONDS = 0.4


class Primary(Server):
    """A server that is left alone unless it takes writes: sentinels may not know yet."""

    def _connect(self, connection: ConnectionInterface) -> None:
        super()._connect(connection)
        if self._ask(connection, ("ROLE",))[0] != b"master":
            raise exceptions.ReadOnlyError("the server that sentinels name is a replica")


class Sentinel:
    """Asks for the primary at the first command, and after one has failed."""

    def __init__(self, address: Address) -> None:
        self._service = address.service
        self._options = address.primary
        self._sentinels = [Server(options, SENTINEL_SECONDS) for options in address.seeds]
        self._primary: Primary | None = None
        # The one asked last: found again, it is avoided as long as it was.
        self._known: dict[tuple[str, int], Primary] = {}
        self._breaker = CircuitBreaker()
        # Of the sentinels, the one that is asked first.
        self._turn = 0

    def execute(self, key: str, *command: Any) -> Any:
        """Send ``command`` to the primary, once."""
        primary = self._appointed()
        try:
            return primary.execute(*command)
        except NoScriptError:
            raise
        except (RedisError, OSError):
            # Unless another thread has found the next one meanwhile.
            if self._primary is primary:
                self._primary = None
                # A sentinel that is cut off still names the primary that was.
                self._turn += 1
                self._breaker.open()
            raise

    def primaries(self) -> Sequence[Server]:
        """Return the primary."""
        return (self._appointed(),)

    def _appointed(self) -> Primary:
        primary = self._primary
        if primary is None:
            if self._breaker.is_open:
                raise exceptions.ConnectionError("Redis did not answer a moment ago")
            try:
                primary = self._primary = self._ask_sentinels()
            except (RedisError, OSError):
                self._breaker.open()
                raise
        return primary

    def _ask_sentinels(self) -> Primary:
        ends_at = monotonic() + ASK_SECONDS
        for _ in self._sentinels:
            if monotonic() > ends_at:
                break
            sentinel = self._sentinels[self._turn % len(self._sentinels)]
            answer = None
            with suppress(RedisError, OSError):
                answer = sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            # Nothing, if it does not know the service.
            if answer:
                return self._at(answer[0].decode(), int(answer[1]))
            self._turn += 1
        raise exceptions.ConnectionError("no sentinel names a primary")

    def _at(self, host: str, port: int) -> Primary:
        primary = self._known.get((host, port))
        if primary is None:
            primary = Primary(self._options | {"host": host, "port": port})
            self._known = {(host, port): primary}
        return primary
