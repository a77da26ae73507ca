"""Hostile questions of a proxy, the same from the same seed, against any number of installations.

They are written on plain sockets: HTTP clients refuse to send most of it. What the HTTP server
itself refuses has no request id, and reaches nothing of ours.
"""

import http.client
import json
import random
import re
import socket
from collections import Counter
from typing import NamedTuple

from tests.support.fuzz import UNSTABLE, World
from tests.support.proxy import DIALECTS, IDENTITY, forwarded

RULES = (
    "GET,HEAD /open/** public", "* /any/** any-key", "POST /dear/** any-key cost=5",
    "GET /v1/{name} customers:read", "DELETE /v1/* customers:write",
)  # fmt: skip
ENVIRONMENTS = [*["production"] * 20, "staging", "development", "moon", "Production", "", "%70"]
SERVICES = [*["orders"] * 30, "disabled", "disabled", "nothing", "Orders", "",
            "x" * 40, "x" * 41, "orders%20", "..", "orders;x", "\xe9", "orders?x"]  # fmt: skip
SEGMENTS = [*["any", "open", "v1", "dear"] * 3, *["x", "7", "a.b", "a~b-c_d", "x,y", "{name}"] * 2,
            "", ".", "..", "%2e%2e", "%2E", "%2f", "%2F..", "%5c", "%00", "%", "%zz", "%c3%a9",
            "%ff", "a;b", "a\\b", "*", "**", "\xe9", "\xff\xfe", "\t", " ", "\x7f", "\x01", "#",
            "x" * 300, "x" * 9000, "<script>", "%252e", "..;", "any%2fx",
            "%ef%bc%8f", "%e2%80%a5"]  # fmt: skip
PATHS = ["/open/x", "/any/x/y", "/dear/x", "/v1/x", "/v1/x/y", "/nowhere"]
QUERIES = [*[""] * 8, "?", "?a=1", "?a=1&a=2", "?//..%2f", "?" + "q" * 9000, "?\xe9", "??"]
METHODS = [*["GET"] * 20, "POST", "POST", "HEAD", "DELETE", "PROPFIND", "get", "Get", "",
           "GET,POST", "*", "X" * 40, "\xe9", "G T"]  # fmt: skip
HOSTS = [*["orders.example"] * 20, "", "a,b", "\xff", "x" * 300, "<b>", "a:99999999", "[::1]"]
CLIENTS = [*["198.51.100.7"] * 20, "", "nonsense", "2001:db8::1", "198.51.100.7, 127.0.0.1",
           "x" * 9000, "198.51.100.7:80", "\xff", ",,,"]  # fmt: skip
EXTRA = [
    ("X_Forwarded_Uri", "/open/x"), ("X-Original-URI", "/open/x"), ("X-Original-Method", "GET"),
    ("Forwarded", "for=192.0.2.1;host=x"), ("X-Forwarded-Prefix", "/open"), ("Accept", "text/html"),
    ("X-Latchkey-Key-Id", "forged"), ("X-Latchkey-Customers", "all"), ("X-Request-ID", "forged"),
    ("X-Envoy-Original-Path", "/open/x"), ("X-HTTP-Method-Override", "GET"), ("Cookie", "a=b"),
    ("X-Long", "x" * 9000), ("X-Bytes", "\x80\xff"), ("Authorization", "Basic eDp5"),
    ("Authorization", "Bearer"), ("X-API-Key", "lk_prod_nonsense"), ("X-API-Key", ""),
    ("Content-Type", "multipart/form-data; boundary=x"), ("Range", "bytes=0-1"),
    ("If-None-Match", "*"), ("X-Forwarded-Uri", "/open/x"), ("X-Forwarded-Method", "GET"),
]  # fmt: skip
CREDENTIALS = [*["production"] * 10, "staging", *["weak"] * 3, "wrong", "none"]
AMBIGUOUS = re.compile(
    r"//|/\.{1,2}(/|$)|%2f|%5c|%2e|%00|%ef%bc%8f|%e2%80%a5|[\\;\x00-\x1f\x7f]", re.IGNORECASE
)
MEDIA_TYPE = "application/problem+json"


class Question(NamedTuple):
    """What is asked: the same for every installation, but for the credential."""

    by: str
    target: str
    fields: tuple[tuple[str, str], ...]
    credential: str
    is_nginx: bool
    uri: str


class Reply(NamedTuple):
    """An answer, its headers' names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_ours(self) -> bool:
        """Return whether it is more than the HTTP server's word for what it cannot read."""
        return self.status not in {400, 414, 431} or bool(self.body) or len(self.headers) > 3

    @property
    def code(self) -> str:
        """Return the problem's code; for an answer without one its status."""
        if not self.is_ours:
            return "unreadable"
        text = self.headers.get("x-latchkey-problem") or self.body.decode()
        return str(json.loads(text)["code"]) if text else str(self.status)

    @property
    def identity(self) -> list[str]:
        """Return the identity fields, all of which have to be there."""
        return [self.headers[f"x-latchkey-{name.lower()}"] for name in IDENTITY]


def draw(chance: random.Random) -> Question:
    """Draw the next question."""
    dialect = chance.choice([*DIALECTS * 12, "nginx/", "Envoy", "x"])
    base = f"/auth/{chance.choice(ENVIRONMENTS)}/{chance.choice(SERVICES)}"
    base += f"/{dialect}" if dialect else ""
    count = chance.choice([0, 1, 2, 2, 2, 2, 3, 6])
    hostile = "".join(f"/{chance.choice(SEGMENTS)}" for _ in range(count))
    path = hostile if chance.random() < 0.6 else chance.choice(PATHS)
    uri = path + chance.choice(QUERIES)
    fields = forwarded(uri, chance.choice(METHODS))
    fields |= {"X-Forwarded-Host": chance.choice(HOSTS), "X-Forwarded-For": chance.choice(CLIENTS)}
    sent = [field for field in fields.items() if chance.random() > 0.03]
    sent += [chance.choice(EXTRA) for _ in range(chance.choice([0] * 6 + [1, 2]))]
    chance.shuffle(sent)
    return Question(
        chance.choice([*["GET"] * 6, "HEAD", "POST", "OPTIONS", "PATCH", "PURGE"]),
        base + uri if dialect == "envoy" else base,
        tuple(sent),
        chance.choice(CREDENTIALS),
        dialect == "nginx",
        uri,
    )


def ask(world: World, question: Question) -> Reply:
    """Write a question as it is, and read the whole answer."""
    credential = world.credentials[question.credential]
    fields = [("Host", "latchkey"), ("Connection", "close"), *question.fields]
    fields += [("Authorization", f"Bearer {credential}")] if credential else []
    lines = [f"{question.by} {question.target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields), "", ""]
    with socket.create_connection(("127.0.0.1", world.product.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        response = http.client.HTTPResponse(connection, method=question.by)
        response.begin()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        assert len(headers) == len(dict(headers)), headers
        return Reply(response.status, dict(headers), response.read())


def check(world: World, question: Question, reply: Reply) -> None:
    """Raise the ``AssertionError`` of whatever an answer must not be."""
    headers = reply.headers
    assert reply.status < 500
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"] != "forged"
    assert "location" not in headers
    if question.by == "HEAD":
        assert not reply.body
    status = reply.status
    if question.is_nginx and "x-latchkey-status" in headers:
        problem = headers["x-latchkey-problem"]
        assert status in {200, 401, 403}
        assert problem.isascii()
        assert len(problem) < 2048
        status = int(headers["x-latchkey-status"])
        assert (status == 200) == (problem == "") == (reply.status == 200)
    if status == 200:
        path = question.uri.partition("?")[0]
        assert not AMBIGUOUS.search(path)
        assert path.startswith(("/any", "/open", "/dear/", "/v1/"))
        assert not reply.body
        key_id = world.credentials[question.credential].split("_")[2:3]
        assert reply.identity[:1] == ([""] if path.startswith("/open") else key_id)
    else:
        assert headers["content-type"] == MEDIA_TYPE
        assert reply.identity == [""] * len(IDENTITY)


def comparable(reply: Reply) -> tuple[int, str]:
    """Return what must be alike on every installation."""
    text = reply.body.decode() + reply.headers.get("x-latchkey-problem", "")
    return reply.status, UNSTABLE.sub("~", text)


def fuzz_decisions(
    worlds: list[World], *, seed: int, requests: int
) -> tuple[Counter[str], list[list[str]]]:
    """Ask every world the same; return how often each code came, and each world's request ids.

    Raises ``AssertionError`` naming the question at the first answer that must not be.
    """
    chance = random.Random(seed)  # noqa: S311 - to repeat a run, not to keep a secret
    answers: Counter[str] = Counter()
    ids: list[list[str]] = [[] for _ in worlds]
    for number in range(requests):
        question = draw(chance)
        replies = [ask(world, question) for world in worlds]
        told = f"question {number} of seed {seed}: {question} got {replies}"
        assert len({comparable(reply) for reply in replies}) == 1, told
        for world, reply, seen in zip(worlds, replies, ids, strict=True):
            if not reply.is_ours:
                continue
            try:
                check(world, question, reply)
            except (AssertionError, KeyError) as error:
                raise AssertionError(f"{error!r}: {told}") from error
            seen.append(reply.headers["x-request-id"])
        answers[replies[0].code] += 1
    return answers, ids
