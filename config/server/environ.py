"""The WSGI environ (PEP 3333) of a request that the server hands over as an ASGI scope."""

import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from apikeys.guard.middleware import ARRIVED_AT, HEADERS, RAW_PATH, REPEATED

SAME_FOR_ALL = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def environ_of(
    scope: MutableMapping[str, Any], body: IO[bytes] | Any, length: int, arrived_at: float
) -> dict[str, Any]:
    """Return the environ; ``body`` has ``length`` bytes, 0 for a request without a body.

    A repeated header is one value with commas, so that a credential sent twice is noticed; one
    with bytes outside ASCII is blank. A header name with an underscore is left out: in an environ
    it would stand for the same name with a hyphen, which a proxy may have set.
    """
    server_name, server_port = scope["server"]
    environ: dict[str, Any] = {
        **SAME_FOR_ALL,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        ARRIVED_AT: arrived_at,
        RAW_PATH: scope["raw_path"].decode("latin-1"),
    }
    headers: dict[str, str] = {}
    repeated = set()
    for raw_name, raw_value in scope["headers"]:
        name = _environ_name(raw_name)
        if name is None:
            continue
        value = raw_value.decode() if raw_value.isascii() else ""
        if name in headers:
            value = f"{headers[name]}{';' if name == 'HTTP_COOKIE' else ','}{value}"
            repeated.add(name)
        headers[name] = value
    is_in_chunks = headers.pop("HTTP_TRANSFER_ENCODING", None) is not None
    environ |= headers
    environ[HEADERS] = headers
    environ[REPEATED] = repeated
    if is_in_chunks:
        # Its length is known by now. Django would not read a body of none, and the guard says of
        # an empty one that it is no JSON.
        environ["CONTENT_LENGTH"] = str(max(1, length))
    return environ


@lru_cache(maxsize=512)
def _environ_name(name: bytes) -> str | None:
    if b"_" in name:
        return None
    text = name.decode("latin-1").replace("-", "_").upper()
    return text if text in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{text}"
