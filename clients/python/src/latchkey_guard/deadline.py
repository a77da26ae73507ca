"""A deadline for a whole question of ``verify``: connecting, sending, and all of the answer.

httpx has timeouts for each step, and waits so long again for each part of an answer that comes
slowly. Here each step is given what is left of the deadline of its thread. Only the resolver of
the operating system is waited for as long as it takes.
"""

import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class Deadline(threading.local):
    """When the question that a thread asks has to be answered."""

    at = 0.0

    def start(self, seconds: float) -> None:
        """Begin to count."""
        self.at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left; raise ``httpcore.ReadTimeout`` if none are."""
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("The deadline has passed.")
        return seconds


class Transport(httpx.HTTPTransport):
    """httpx's, with connections that keep the deadline."""

    def __init__(self, deadline: Deadline, *, verify: Any, connections: int) -> None:
        super().__init__(verify=verify, trust_env=False)
        if not isinstance(self._pool, httpcore.ConnectionPool):
            raise TypeError("This httpx has no pool to give a deadline. Install one below 1.")
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=verify, trust_env=False),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5,
            network_backend=_Backend(deadline),
        )


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that takes it, all of them within the deadline."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from None
        refused: Exception = httpcore.ConnectError(f"{host} has no address.")
        for address in dict.fromkeys(str(row[4][0]) for row in found):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.remaining(), local_address, socket_options
                )
            except httpcore.ConnectError as error:  # noqa: PERF203 - the next is tried
                refused = error
            else:
                return _Stream(stream, self._deadline)
        raise refused


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.remaining())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.remaining())
        return _Stream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
