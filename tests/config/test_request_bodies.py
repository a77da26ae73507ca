"""Bodies that wait in files: so many of one network, whoever is behind it."""

import asyncio
import io
import ipaddress
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apikeys.guard.middleware import headers_of
from apikeys.guard.parsers import BodyError, UnreadBody
from config.server.environ import environ_of
from config.server.request_bodies import MAX_BODIES_OF_ONE_NETWORK, Body, read_body

PROXY = "127.0.0.1"


def read(address: str, *, forwarded_for: str = "") -> Body:
    """Read a body that outgrows the memory."""
    headers = [(b"content-length", b"70000")]
    if forwarded_for:
        headers.append((b"x-forwarded-for", forwarded_for.encode()))
    scope = {
        "server": ("127.0.0.1", "8000"),
        "client": (address, 50_000),
        "method": "POST",
        "path": "/admin/login/",
        "raw_path": b"/admin/login/",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "headers": headers,
    }
    parts = iter([b"x" * 69_999, b"x"])

    async def receive() -> dict[str, Any]:
        part = next(parts)
        return {"type": "http.request", "body": part, "more_body": len(part) > 1}

    # In a thread of its own: a browser of other tests may keep its event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, read_body(scope, receive)).result()[0]


def is_refused(body: Body) -> bool:
    return isinstance(body, UnreadBody) and body.error is BodyError.NOT_STORED


def test_a_network_has_its_share_of_the_files_and_gets_it_back() -> None:
    held = [read("192.0.2.1") for _ in range(MAX_BODIES_OF_ONE_NETWORK)]

    assert not any(map(is_refused, held))
    assert is_refused(read("192.0.2.1"))
    assert not is_refused(read("192.0.2.2"))
    held.clear()
    assert not is_refused(read("192.0.2.1"))


def test_a_body_that_was_answered_counts_no_more_whatever_still_refers_to_it() -> None:
    held = [read("192.0.2.1") for _ in range(MAX_BODIES_OF_ONE_NETWORK)]

    held[0].close()

    assert not is_refused(read("192.0.2.1"))
    del held


def test_hosts_of_one_ipv6_network_share() -> None:
    held = [read(f"2001:db8::{host}") for host in range(MAX_BODIES_OF_ONE_NETWORK)]

    assert is_refused(read("2001:db8::ffff"))
    assert not is_refused(read("2001:db8:0:1::1"))
    del held


@pytest.mark.parametrize("is_trusted", [True, False])
def test_who_is_behind_a_trusted_proxy_counts_for_himself(settings: Any, is_trusted: bool) -> None:
    settings.TRUSTED_PROXIES = (ipaddress.ip_network(PROXY),) if is_trusted else ()
    held = [read(PROXY, forwarded_for="192.0.2.1") for _ in range(MAX_BODIES_OF_ONE_NETWORK)]

    assert is_refused(read(PROXY, forwarded_for="192.0.2.1"))
    assert is_refused(read(PROXY, forwarded_for="192.0.2.2")) is not is_trusted
    del held


def test_all_networks_together_have_so_many_files() -> None:
    held = [read(f"192.0.2.{number}") for number in range(100)]

    assert not any(map(is_refused, held))
    assert is_refused(read("192.0.2.200"))


def test_the_record_of_a_body_in_chunks_does_not_name_its_coding() -> None:
    scope: Any = {
        "method": "POST", "raw_path": b"/", "query_string": b"", "http_version": "1.1",
        "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 0),
        "headers": [(b"transfer-encoding", b"chunked"), (b"accept", b"*/*")],
    }  # fmt: skip

    environ = environ_of(scope, io.BytesIO(b"12"), 2, 0.0)

    assert headers_of(environ) == {"HTTP_ACCEPT": "*/*"}
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["CONTENT_LENGTH"] == "2"
