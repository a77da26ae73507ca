"""One Redis server: a connection for each thread, and a circuit breaker."""

import threading
from typing import Any

from redis import ConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.exceptions import AskError, NoScriptError, RedisError
from redis.retry import Retry

from database.circuit_breaker import CircuitBreaker
from database.redis.address import Options

TIMEOUT_SECONDS = 0.7
# Answers that executed nothing and say nothing against the server; MOVED is one of the first.
REDIRECTIONS = (AskError, NoScriptError)


class Server:
    """Sends each command once: one that was sent may have counted, and would count twice."""

    PORT = 6379

    def __init__(self, options: Options, timeout: float = TIMEOUT_SECONDS) -> None:
        self.host = str(options.get("host", options.get("path", "localhost")))
        self.port = int(options.get("port", self.PORT))
        self._options = options
        self._pool = self._make_pool(timeout)
        self._local = threading.local()
        self._breaker = CircuitBreaker()

    def execute(self, *command: Any, is_asking: bool = False) -> Any:
        """Return the answer to a command; raise ``RedisError`` or ``OSError``.

        ``is_asking`` sends it to the server that a slot is moving to.
        """
        if self._breaker.is_open:
            raise exceptions.ConnectionError("Redis did not answer a moment ago")
        try:
            return self._ask(self._connected(), command, is_asking)
        except REDIRECTIONS:
            raise
        except (RedisError, OSError):
            self._forget()
            self._breaker.open()
            raise

    def client(self, timeout: float) -> Redis:
        """Return redis-py's client of this server alone, for what commands ask now and then."""
        return Redis(connection_pool=self._make_pool(timeout))

    def _make_pool(self, timeout: float) -> ConnectionPool:
        return ConnectionPool(
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            **self._options,
        )

    def _connected(self) -> ConnectionInterface:
        """Return this thread's connection, replaced if the server has closed it.

        The client's pool would do as well and cost more than the answer takes to arrive.
        """
        connection: ConnectionInterface | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._pool.make_connection()
            self._connect(connection)
            self._local.connection = connection
        elif self._is_closed(connection):
            connection.disconnect()
            self._connect(connection)
        return connection

    def _connect(self, connection: ConnectionInterface) -> None:
        connection.connect()

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
    def _ask(
        connection: ConnectionInterface, command: tuple[Any, ...], is_asking: bool = False
    ) -> Any:
        if is_asking:
            packed = connection.pack_commands([("ASKING",), command])
            connection.send_packed_command(packed, check_health=False)
            connection.read_response()
        else:
            packed = connection.pack_command(*command)
            connection.send_packed_command(packed, check_health=False)
        return connection.read_response()
