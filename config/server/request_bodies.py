"""Reads a request's body on the event loop, whole or not at all.

A body is read within ``BODY_TIMEOUT_SECONDS`` and up to the limit of its address. What is not read
to its end has no effect: an ``UnreadBody`` stands in its place and says why.
"""

import asyncio
import io
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any
from weakref import WeakSet

from django.conf import settings

from apikeys.guard.middleware import API
from apikeys.guard.parsers import BodyError, UnreadBody
from config.server.environ import environ_of
from database.client_address import budget_subject, client_address
from gateway.forward_auth import AUTH

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Body = IO[bytes] | UnreadBody

# A longer body waits in a file, so that many senders cannot fill the memory; so many of these
# at once, so that they cannot fill the disk; and so many of one network, so that it cannot keep
# everybody else's out.
MAX_BODY_IN_MEMORY = 65_536
MAX_BODIES_IN_FILES = 100
MAX_BODIES_OF_ONE_NETWORK = MAX_BODIES_IN_FILES // 4

# By the networks they come from. A body counts until it is closed: the traceback of an error can
# refer to it for long after.
_bodies_in_files: defaultdict[str, WeakSet[IO[bytes]]] = defaultdict(WeakSet)


async def read_body(scope: Scope, receive: Receive) -> tuple[Body, int]:
    """Return the whole body, or what says why it was not read; and its length in bytes."""
    if _transfer_coding(scope["headers"]) not in (b"", b"chunked"):
        return UnreadBody(BodyError.UNKNOWN_CODING), 0
    announced = _announced(scope["headers"])
    if announced == 0:
        return io.BytesIO(), 0
    limit = (
        settings.MAX_BODY_BYTES
        if scope["path"].startswith((API, AUTH))
        else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    )
    if announced is not None and announced > limit:
        return UnreadBody(BodyError.TOO_LARGE), announced
    try:
        async with asyncio.timeout(settings.BODY_TIMEOUT_SECONDS):
            return await _receive_body(scope, receive, limit)
    except TimeoutError:
        return UnreadBody(BodyError.TIMED_OUT), announced or 0
    except OSError as error:
        logger.error("a request body cannot be stored: %s", error)
        return UnreadBody(BodyError.NOT_STORED), announced or 0


def _transfer_coding(headers: Headers) -> bytes:
    """Return how the body is coded; the server undoes chunks alone (RFC 9112 §6.1)."""
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    return b",".join(codings).strip().lower()


def _announced(headers: Headers) -> int | None:
    """Return the length that the headers announce, 0 without a body; None for one in chunks.

    The server has refused contradictory lengths (RFC 9112 §6.3).
    """
    length = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length


async def _receive_body(scope: Scope, receive: Receive, limit: int) -> tuple[Body, int]:
    size = 0
    body: IO[bytes] = io.BytesIO()
    with ExitStack() as stack:
        while (message := await receive())["type"] == "http.request":
            size += len(message["body"])
            if size > limit:
                return UnreadBody(BodyError.TOO_LARGE), size
            if size > MAX_BODY_IN_MEMORY and isinstance(body, io.BytesIO):
                file = stack.enter_context(TemporaryFile(dir=settings.LATCHKEY_VAR))
                if not _takes_place(file, scope):
                    return UnreadBody(BodyError.NOT_STORED), size
                file.write(body.getvalue())
                body = file
            body.write(message["body"])
            if not message["more_body"]:
                body.seek(0)
                stack.pop_all()
                return body, size
    # The connection ended first.
    return UnreadBody(BodyError.INCOMPLETE), size


def _takes_place(body: IO[bytes], scope: Scope) -> bool:
    """Count a body that outgrows the memory; return False if there is no room for it."""
    for network, bodies in list(_bodies_in_files.items()):
        for closed in [body for body in bodies if body.closed]:
            bodies.remove(closed)
        if not bodies:
            del _bodies_in_files[network]
    meta = environ_of(scope, None, 0, 0.0)
    bodies = _bodies_in_files[budget_subject(client_address(meta, settings.TRUSTED_PROXIES))]
    if len(bodies) >= MAX_BODIES_OF_ONE_NETWORK:
        return False
    if sum(map(len, _bodies_in_files.values())) >= MAX_BODIES_IN_FILES:
        return False
    bodies.add(body)
    return True
