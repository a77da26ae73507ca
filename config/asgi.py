"""The edge of the web server: has a request's body read, then a thread answer the request.

A body arrives as slowly as its sender likes. ``config.server.request_bodies`` reads it on the
event loop, so that a thread is taken only by a request that is complete, or by one whose body is
never going to be read. An answer is sent from here too, so that a slow reader holds no thread
either. Django itself runs in ``WEB_THREADS`` threads, behind the WSGI application.
"""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from queue import SimpleQueue
from time import monotonic
from typing import Any, NamedTuple

from config.wsgi import application as wsgi_application  # isort: skip - sets Django up

from django.conf import settings
from uuid_utils import uuid7

from apikeys.credentials import HAND_OVER
from apikeys.guard import problems
from apikeys.guard.middleware import API
from apikeys.guard.parsers import BodyError, UnreadBody
from config.server import request_lines
from config.server.environ import environ_of
from config.server.request_bodies import Body, Headers, Message, Receive, Scope, Send, read_body
from config.server.warm_up import warm_up
from gateway.forward_auth import AUTH

logger = logging.getLogger(__name__)

# After so long a thread lets another run. The event loop, which sends every answer, may wait for as
# many threads as are busy: Python's 5 ms would be most of what the slowest decisions take.
SWITCH_SECONDS = 0.001
# A longer streamed answer keeps its thread until it is sent.
MAX_STREAM_IN_MEMORY = 1_048_576
# How long a caller may take to receive one block of such an answer.
BLOCK_TIMEOUT_SECONDS = 10.0

WARM_UP_SECONDS = 3.0

PAGES = ("/admin/", HAND_OVER)
CLOSE = (b"connection", b"close")
# What a page is answered; under /api/ the guard answers, in problem details and on record.
PAGE_ANSWERS = {
    BodyError.INCOMPLETE: (400, "The request ended before it was complete. Send it again."),
    BodyError.TIMED_OUT: (
        408,
        f"The request did not arrive within {settings.BODY_TIMEOUT_SECONDS} s. Send it again.",
    ),
    BodyError.TOO_LARGE: (413, "The request is too large. Send less at a time."),
    BodyError.NOT_STORED: (503, "There is no room for the request. Try again in a minute."),
    BodyError.UNKNOWN_CODING: (415, "The request has a transfer coding. Send it without one."),
}


class Answer(NamedTuple):
    """A whole answer: its content, or the file that holds it."""

    status: int
    headers: Headers
    content: bytes = b""
    path: str = ""


class Call(NamedTuple):
    """A request whose body has been read, and the way back to its caller."""

    scope: Scope
    body: Body
    length: int
    arrived_at: float
    receive: Receive
    send: Send
    loop: asyncio.AbstractEventLoop
    # Set once the thread is done: the answer, or None if the thread has sent it by itself.
    answered: "asyncio.Future[Answer | None]"


_calls: SimpleQueue[Call] = SimpleQueue()
# A page may wait long for the database. One thread is left for everybody else.
_pages = asyncio.Semaphore(max(1, settings.WEB_THREADS - 1))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request (ASGI 3.0, ``http`` scopes alone)."""
    body, length = await read_body(scope, receive)
    answer: Answer | None
    if isinstance(body, UnreadBody) and not scope["path"].startswith((API, AUTH)):
        status, text = PAGE_ANSWERS[body.error]
        answer = _plain(status, text)
        request_lines.write(environ_of(scope, body, length, monotonic()), status, answer.headers)
    else:
        arrived_at = monotonic()
        async with _pages if scope["path"].startswith(PAGES) else nullcontext():
            loop = asyncio.get_running_loop()
            answered: asyncio.Future[Answer | None] = loop.create_future()
            call = Call(scope, body, length, arrived_at, receive, send, loop, answered)
            _calls.put(call)
            answer = await answered
    if answer is None:
        return
    await send(_start(answer.status, answer.headers))
    if answer.path:
        await send({"type": "http.response.pathsend", "path": answer.path})
    else:
        await send({"type": "http.response.body", "body": answer.content})


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _plain(status: int, text: str) -> Answer:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-request-id", str(uuid7()).encode()),
        CLOSE,
    ]
    return Answer(status, headers, text.encode())


class _File:
    """A file that is an answer, which the server sends by its path."""

    def __init__(self, file: Any, _block_size: int) -> None:
        self.path = getattr(file, "name", None)
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(MAX_STREAM_IN_MEMORY), b"")

    def close(self) -> None:
        self._file.close()


def _answer_calls() -> None:
    """Answer one call after another, for as long as the process runs."""
    warm_up(wsgi_application)
    _warm.release()
    while True:
        call = _calls.get()
        answer: Answer | None
        try:
            answer = _answer(call)
        except Exception:
            logger.exception("a request was not answered")
            answer = _failure(call.scope)
            environ = environ_of(call.scope, call.body, call.length, call.arrived_at)
            request_lines.write(environ, answer.status, answer.headers)
        call.loop.call_soon_threadsafe(_finish, call.answered, answer)


def _failure(scope: Scope) -> Answer:
    """Return the 500 for what not even Django could answer."""
    answer = _plain(
        500, "The request failed. Try it again, and tell an operator if it fails again."
    )
    if not scope["path"].startswith(API):
        return answer
    _, (name, request_id), close = answer.headers
    body = json.dumps(problems.internal_error().body(request_id.decode()))
    media_type = (b"content-type", problems.MEDIA_TYPE.encode())
    return Answer(500, [media_type, (name, request_id), close], body.encode())


def _finish(answered: "asyncio.Future[Answer | None]", answer: Answer | None) -> None:
    # Cancelled where the server stopped waiting.
    if not answered.done():
        answered.set_result(answer)


def _answer(call: Call) -> Answer | None:
    """Run the application; return its answer, or None once a streamed one was sent."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        started.append((status, headers))

    environ = environ_of(call.scope, call.body, call.length, call.arrived_at)
    environ["wsgi.file_wrapper"] = _File
    result: Any = None
    try:
        result = wsgi_application(environ, start_response)
        status, headers = int(started[0][0][:3]), _encoded(started[0][1])
        if isinstance(call.body, UnreadBody):
            headers.append(CLOSE)
        request_lines.write(environ, status, headers)
        if isinstance(result, _File) and isinstance(result.path, str):
            return Answer(status, headers, path=result.path)
        blocks = iter(result)
        content = b""
        for block in blocks:
            content += block
            if len(content) > MAX_STREAM_IN_MEMORY:
                break
        else:
            return Answer(status, headers, content)
        _stream(call, _start(status, headers), chain((content,), blocks))
        return None
    finally:
        if hasattr(result, "close"):  # as PEP 3333 wants it
            result.close()
        call.body.close()


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _stream(call: Call, start: Message, blocks: Iterable[bytes]) -> None:
    """Send an answer block by block; stop when its caller is gone or does not take it.

    A response that fails midway ends without its last chunk, so that clients see it is incomplete.
    """
    gone = asyncio.run_coroutine_threadsafe(_disconnected(call.receive), call.loop)
    try:
        _send_now(call, start)
        for block in blocks:
            if gone.done():
                return
            _send_now(call, {"type": "http.response.body", "body": block, "more_body": True})
        _send_now(call, {"type": "http.response.body", "body": b"", "more_body": False})
    except TimeoutError:
        logger.warning("an answer was not taken within %d s a block", BLOCK_TIMEOUT_SECONDS)
    except Exception:
        logger.exception("a streamed answer was not finished")
    finally:
        gone.cancel()


def _send_now(call: Call, message: Message) -> None:
    """Send from a thread; raise ``TimeoutError`` if the caller does not take what came before."""

    async def send() -> None:
        async with asyncio.timeout(BLOCK_TIMEOUT_SECONDS):
            await call.send(message)

    asyncio.run_coroutine_threadsafe(send(), call.loop).result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


sys.setswitchinterval(SWITCH_SECONDS)
_warm = threading.Semaphore(0)
for _number in range(settings.WEB_THREADS):
    threading.Thread(target=_answer_calls, name=f"web-{_number}", daemon=True).start()
# The port is answered once the threads are ready, or after as long as an outage may take.
for _number in range(settings.WEB_THREADS):
    if not _warm.acquire(timeout=WARM_UP_SECONDS):
        break
