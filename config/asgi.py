"""The edge of the web server: reads a request's body, then has a thread answer the request.

A body arrives as slowly as its sender likes. It is read here, on the event loop, within
``BODY_TIMEOUT_SECONDS`` and up to the limit of its address, so that a thread is taken only by a
request that is complete, or by one whose body is never going to be read. Django itself runs in
``WEB_THREADS`` threads, behind the WSGI application.
"""

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import ExitStack
from functools import lru_cache
from itertools import chain
from queue import SimpleQueue
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from config.wsgi import application as wsgi_application  # isort: skip - sets Django up

from django.conf import settings

from apikeys.guard.bodies import BodyError, UnreadBody
from apikeys.guard.middleware import API

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Body = IO[bytes] | UnreadBody

# A longer body waits in a file, so that many senders cannot fill the memory.
MAX_BODY_IN_MEMORY = 65_536
FILE_BLOCK = 65_536
# How long a caller may take to receive one block of a streamed answer.
BLOCK_TIMEOUT_SECONDS = 30.0

CLOSE = (b"connection", b"close")
PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")
# What a page is answered; under /api/ the guard answers, in problem details and on record.
PAGE_ANSWERS = {
    BodyError.INCOMPLETE: (400, "The request ended before it was complete. Send it again."),
    BodyError.TIMED_OUT: (
        408,
        f"The request did not arrive within {settings.BODY_TIMEOUT_SECONDS} s. Send it again.",
    ),
    BodyError.TOO_LARGE: (413, "The request is too large. Send less at a time."),
    BodyError.NOT_STORED: (503, "The disk has no room for the request. Try again in a minute."),
}

ENVIRON = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": lambda file, _block_size: FileWrapper(file, FILE_BLOCK),
}


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    content: bytes


class Call(NamedTuple):
    """A request whose body has been read, and the way back to its caller."""

    scope: Scope
    body: Body
    receive: Receive
    send: Send
    loop: asyncio.AbstractEventLoop
    # Set once the thread is done: the answer, or None if the thread has sent it by itself.
    answered: "asyncio.Future[Answer | None]"


_calls: SimpleQueue[Call] = SimpleQueue()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request (ASGI 3.0, ``http`` scopes alone)."""
    body = await _read_body(scope, receive)
    answer: Answer | None
    if isinstance(body, UnreadBody) and not scope["path"].startswith(API):
        status, text = PAGE_ANSWERS[body.error]
        answer = Answer(status, [PLAIN_TEXT, CLOSE], text.encode())
    else:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer | None] = loop.create_future()
        _calls.put(Call(scope, body, receive, send, loop, answered))
        answer = await answered
    if answer is not None:
        await send(_start(answer.status, answer.headers))
        await send({"type": "http.response.body", "body": answer.content})


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


# --- On the event loop: the body ---------------------------------------------------------------


async def _read_body(scope: Scope, receive: Receive) -> Body:
    """Return the whole body, or what says why it was not read."""
    announced = _announced(scope["headers"])
    if announced == 0:
        return io.BytesIO()
    limit = (
        settings.MAX_BODY_BYTES
        if scope["path"].startswith(API)
        else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    )
    if announced is not None and announced > limit:
        return UnreadBody(BodyError.TOO_LARGE)
    try:
        async with asyncio.timeout(settings.BODY_TIMEOUT_SECONDS):
            return await _receive_body(receive, limit)
    except TimeoutError:
        return UnreadBody(BodyError.TIMED_OUT)
    except OSError as error:
        logger.error("a request body cannot be stored: %s", error)
        return UnreadBody(BodyError.NOT_STORED)


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


async def _receive_body(receive: Receive, limit: int) -> Body:
    message = await receive()
    if message["type"] == "http.request" and not message["more_body"]:
        return io.BytesIO(message["body"])
    with ExitStack() as stack:
        folder = str(settings.LATCHKEY_VAR)
        body = stack.enter_context(SpooledTemporaryFile(MAX_BODY_IN_MEMORY, "w+b", dir=folder))
        size = 0
        while message["type"] == "http.request":
            size += len(message["body"])
            if size > limit:
                return UnreadBody(BodyError.TOO_LARGE)
            body.write(message["body"])
            if not message["more_body"]:
                body.seek(0)
                stack.pop_all()
                return body
            message = await receive()
    # The connection ended first.
    return UnreadBody(BodyError.INCOMPLETE)


# --- In a thread: the answer -------------------------------------------------------------------


def _answer_calls() -> None:
    """Answer one call after another, for as long as the process runs."""
    while True:
        call = _calls.get()
        answer: Answer | None
        try:
            answer = _answer(call)
        except Exception:
            logger.exception("a request was not answered")
            answer = Answer(500, [PLAIN_TEXT, CLOSE], b"The request failed. Try it again.")
        call.loop.call_soon_threadsafe(_finish, call.answered, answer)


def _finish(answered: "asyncio.Future[Answer | None]", answer: Answer | None) -> None:
    # Cancelled where the server stopped waiting.
    if not answered.done():
        answered.set_result(answer)


def _answer(call: Call) -> Answer | None:
    """Run the application; return its answer, or None once a streamed one was sent."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        started.append((status, headers))

    result = wsgi_application(_environ(call.scope, call.body), start_response)
    try:
        status, headers = int(started[0][0][:3]), _encoded(started[0][1])
        if isinstance(call.body, UnreadBody):
            headers.append(CLOSE)
        blocks = iter(result)
        first, second = next(blocks, b""), next(blocks, None)
        if second is None:
            return Answer(status, headers, first)
        _stream(call, _start(status, headers), chain((first, second), blocks))
        return None
    finally:
        if hasattr(result, "close"):  # as PEP 3333 wants it
            result.close()
        call.body.close()


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _stream(call: Call, start: Message, blocks: Iterable[bytes]) -> None:
    """Send an answer block by block; stop when its caller is gone or does not take it."""
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


def _environ(scope: Scope, body: Body) -> dict[str, Any]:
    """Return the WSGI environ (PEP 3333) of a request.

    A repeated header is one value with commas, so that a credential sent twice is noticed; one
    with bytes outside ASCII is blank. A header name with an underscore is left out: in an environ
    it would stand for the same name with a hyphen, which a proxy may have set.
    """
    server_name, server_port = scope["server"]
    environ: dict[str, Any] = {
        **ENVIRON,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
    }
    for raw_name, raw_value in scope["headers"]:
        name = _environ_name(raw_name)
        if name is None:
            continue
        value = raw_value.decode() if raw_value.isascii() else ""
        if name in environ:
            value = f"{environ[name]}{';' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    return environ


@lru_cache(maxsize=512)
def _environ_name(name: bytes) -> str | None:
    if b"_" in name:
        return None
    text = name.decode("latin-1").replace("-", "_").upper()
    return text if text in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{text}"


for _number in range(settings.WEB_THREADS):
    threading.Thread(target=_answer_calls, name=f"web-{_number}", daemon=True).start()
