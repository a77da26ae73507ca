"""Hostile requests, the same from the same seed, against any number of installations.

Each request is drawn for an installation-neutral world (the second customer made, the key of
staging) and then written out for each installation, so that their answers can be compared.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.support.load import Answer, Connection
from tests.support.product import LOTS, Latchkey

ENVIRONMENTS = ("production", "staging", "development")
TEXTS = [
    "", " ", "plain", "x" * 101, "x" * 201, "x" * 5000, "\0", "a\0b", "\t\r\n", "\x1b[31m", "\x7f",
    "é", "日本語", "🚂" * 40, "\u202e", "ﬀ", "İ", "\ufeff", "\ufffe", "a'; DROP TABLE x; --", '"',
    "\\",
    "%00", "%s", "{0}", "../../etc/passwd", "<script>", "null", "NaN", "-1", "1e400", "9" * 400,
    "a@b.example", "a@b", "active", "suspended", "2026-01-01T00:00:00Z", "2026-13-45T99:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59", "true", "0", "50", "201",
]  # fmt: skip
RAW_BODIES = [
    b"", b"{", b"nonsense", b"[" * 70 + b"]" * 70, b"[" * 100_000, b'{"name": "\\ud800"}',
    b'{"name": "\\u0000"}', b'{"name": 1e400}', b'{"name": "a", "name": "b"}', b"\xff\xfe", b"NaN",
    b'{"name": "\xed\xa0\x80"}', b'\xef\xbb\xbf{"name": "bom"}', b'{"a":' * 80 + b"1" + b"}" * 80,
    b'{"metadata": {"a": ' + b"9" * 320 + b"}}", b'{"name": "x"} trailing', b"null", b"3", b'"x"',
]  # fmt: skip
PATHS = [
    *["key"] * 2, *["customers"] * 12, *["customers/{id}"] * 8,
    "{text}", "customers/{text}", "customers/{id}/{text}", "", *["keys/verify"] * 3, "introspect",
    *["keys"] * 6, *["keys/{key}"] * 3, "keys/lk_prod_{key}", "keys/{text}", "keys/{key}/{text}",
    *[f"keys/{{key}}/{act}" for act in ("events", "regenerate", "revoke", "activate")] * 2,
]  # fmt: skip
QUERIES = ["limit", "cursor", "name", "email", "external_reference", "status", "created_after",
           "created_before", "format", "api_key", "page", "permission", "customer", "idle", "tag",
           "owner"]  # fmt: skip
FIELDS = ["name", "email", "external_reference", "status", "metadata", "id", "environment", "x"]
PERMISSIONS = ("customers:read", "customers:write", "keys:verify", "keys:read", "keys:manage")
# Each window: who has limits of its own cannot give the environment's default.
LIMITS = {"minute": 60, "hour": 600, "day": 6000}
KEY_FIELDS: dict[str, list[Any]] = {
    "name": ["Made", "lk_prod_4kQ9zTfB2mXe_abc"],
    "permissions": [["customers:read"], [], ["keys:manage"], ["jobs:run"], ["x"], "customers:read"],
    "customer_scope": ["all", "selected", "none"],
    "customers": [[], ["01a20788-3a4a-7000-9d64-4c64e6723ee9"], ["x"], "all"],
    "limits": [
        LIMITS,
        {"minute": 60},
        {"minute": None, "day": 0},
        {"week": 1},
        {"hour": -1},
        {},
        [],
    ],
    "networks": [[], ["10.0.0.0/8"], ["10.0.0.1/8"], ["::1"], ["nowhere"], [1]],
    "expires_at": ["2099-01-31T00:00:00Z", None, "2001-01-31T00:00:00Z", "9" * 30, 7],
    "tags": [["web"], ["team:a", "web"], [], ["Web"], ["a b"], [None], "web"],
    "owner": ["Zoe", "", "x" * 101],
    "note": ["Asked for", "two\nlines", "x" * 501],
    "overlap": [0, 60, -1, 604_801, "60"],
    "reason": ["Lost", "", "x" * 501],
    "hand_over": [24, 0, 169, "24", None],
    "passphrase": ["correct horse", "short", "x" * 201],
    "x": [1],
}
VERIFIED: dict[str, list[Any]] = {
    "key": ["{credential}", "{credential}", "{credential}x", "lk_prod_nonsense", ""],
    "permission": ["customers:read", "jobs:run", "x", "a:b"],
    "service": ["orders", "orders", "disabled", "nothing"],
    "method": ["GET", "POST", "get"],
    "path": ["/any/x", "/v1/x", "/open/x", "/any//x", "/any/%2f", "any", ""],
    "address": ["198.51.100.7", "2001:db8::1", "nonsense"],
    "cost": [1, 5, 0, 1001, "1"],
    "count": [True, False, "no"],
    "token": ["{credential}"],
}
METHODS = [
    "GET",
    "GET",
    "POST",
    "POST",
    "PATCH",
    "PATCH",
    "DELETE",
    "HEAD",
    "PUT",
    "OPTIONS",
    "TRACE",
]
UNSTABLE = re.compile(
    r"lk_(?:prod|stag|dev)_\w{51}|(?<=\"next_cursor\":\")[\w-]+|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    # What is left of a limit depends on when the oldest request leaves the window.
    r"|99999\d{4}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|[\w-]{22}(?=\")|(?<=\"id\":\")\w{12}(?=\")|\d{1,3}(?:\.\d{1,3}){3}"
    # When a key's last use is written depends on the one before.
    r'|(?<="last_used_at":)(?:null|"[^"]+")|(?<="hand_over_url":")[^"]+'
    r"|(?<=\"key\":\")\w{12}|(?<=key )\w{12}"
)


@dataclass
class World:
    """One installation, and what has been made in it, in the order in which it was made."""

    product: Latchkey
    credentials: dict[str, str] = field(default_factory=dict)
    customers: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Make a key for each environment, one with few rights, one scoped to nobody."""
        every = [f"--permission={code}" for code in PERMISSIONS]
        for environment in ENVIRONMENTS:
            made = self.product.create_key(*LOTS, *every, environment=environment)
            self.credentials[environment] = made["key"]
        self.credentials["weak"] = self.product.create_key(*LOTS)["key"]
        self.credentials["wrong"] = "lk_prod_nonsense"
        self.credentials["none"] = ""

    def send(self, drawn: "Drawn") -> Answer:
        """Send a request; remember a customer or a key that it made."""
        made = self.customers[drawn.chosen % len(self.customers)] if self.customers else "none"
        key = self.keys[drawn.chosen % len(self.keys)] if self.keys else "none"
        connection = Connection(self.product.url, self.credentials[drawn.credential])
        path = drawn.path.replace("%7Bid%7D", made).replace("%7Bkey%7D", key)
        body = drawn.body
        if body is not None:
            body = body.replace(b"{credential}", self.credentials["weak"].encode())
        answer = connection.send(drawn.method, path, body, **drawn.headers)
        connection.close()
        if answer.status == 201:
            rows = self.keys if drawn.path.endswith("/keys") else self.customers
            rows.append(json.loads(answer.body)["id"])
        return answer


@dataclass(frozen=True)
class Drawn:
    """A request, as it is the same for every installation."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]
    credential: str
    # Which of the customers, or of the keys, an address is about.
    chosen: int


def draw(chance: random.Random) -> Drawn:
    """Draw the next request."""
    path = chance.choice(PATHS).replace("{text}", chance.choice(TEXTS))
    if chance.random() < 0.1:
        path = path.replace("{id}", "01a20788-3a4a-7000-9d64-4c64e6723ee9")
    environment = chance.choice([*ENVIRONMENTS * 8, "moon", "Production"])
    query = "&".join(
        f"{chance.choice(QUERIES)}={quote(chance.choice(TEXTS), safe=chance.choice(['', '%&=']))}"
        for _ in range(chance.choice([0] * 9 + [1, 1, 2, 5]))
    )
    address = f"/api/{environment}/v1/{quote(path)}"
    headers = {}
    if chance.random() < 0.15:
        headers["Accept"] = chance.choice(["text/html", "application/json", "*/*", "x", "a/b;q=x"])
    if chance.random() < 0.1:
        headers["Idempotency-Key"] = chance.choice(["", "one", "two", "x" * 300, "t\tb"])
    if chance.random() < 0.05:
        headers["X-API-Key"] = chance.choice(["", "x", "a,b"])
    is_decision = "verify" in path or "introspect" in path
    body = _body(chance)
    if chance.random() < 0.7 and (is_decision or path.startswith("keys")):
        body = _verified(chance) if is_decision else _key(chance)
    if body is not None:
        headers["Content-Type"] = chance.choice(
            ["application/json"] * 20 + ["text/plain", "application/json; charset=latin-1", ""]
        )
    credential = chance.choice([environment] * 20 + [*ENVIRONMENTS, "weak", "wrong", "none"])
    if credential not in {*ENVIRONMENTS, "weak", "wrong", "none"}:
        credential = "production"
    return Drawn(
        chance.choice(METHODS),
        address + (f"?{query}" if query else ""),
        body,
        headers,
        credential,
        chance.randrange(1000),
    )


def _body(chance: random.Random) -> bytes | None:
    kind = chance.random()
    if kind < 0.2:
        return None
    if kind < 0.3:
        return chance.choice(RAW_BODIES)
    if kind < 0.65:
        reference = {"external_reference": f"R-{chance.randrange(2)}"} if kind > 0.4 else {}
        return json.dumps({"name": f"Customer {chance.randrange(50)}"} | reference).encode()
    chosen = chance.sample(FIELDS, chance.randint(1, 4))
    values = {name: _value(chance, depth=0) for name in chosen}
    return json.dumps(values, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _verified(chance: random.Random) -> bytes:
    names = [*chance.sample(list(VERIFIED), chance.randrange(4)), "key"]
    if chance.random() < 0.5:
        names = [*names, "service", "method", "path"]
    values = {name: chance.choice([*VERIFIED[name] * 3, *TEXTS[:8]]) for name in names}
    return json.dumps(values).encode()


def _key(chance: random.Random) -> bytes:
    names = chance.sample(list(KEY_FIELDS), chance.choice([0, 1, 1, 2, 4]))
    # The first of a field's values is one that it takes.
    values = {
        name: KEY_FIELDS[name][0]
        if chance.random() < 0.6
        else chance.choice([*KEY_FIELDS[name] * 3, *TEXTS[:8]])
        for name in names
    }
    whole = {"name": "Made", "limits": LIMITS} if chance.random() < 0.7 else {}
    return json.dumps(whole | values).encode()


def _value(chance: random.Random, *, depth: int) -> Any:
    kind = chance.random()
    if kind < 0.55:
        return chance.choice(TEXTS)
    if kind < 0.75 or depth > 3:
        return chance.choice([None, True, False, 0, -1, 1.5, 1e308, -0.0, 10**20, 10**300])
    inner = [_value(chance, depth=depth + 1) for _ in range(chance.randrange(4))]
    if kind < 0.85:
        return inner
    return {chance.choice(TEXTS): value for value in inner}


def comparable(answer: Answer) -> tuple[int, str]:
    """Return what must be alike on every installation."""
    return answer.status, UNSTABLE.sub("~", answer.body.decode("utf-8", "replace"))


def fuzz(
    worlds: list[World], *, seed: int, requests: int, tell: Callable[[int], None] = lambda _: None
) -> Counter[int]:
    """Send the same requests to every world; return how often each status came.

    Raises ``AssertionError`` naming the request at the first 5xx, page or difference.
    """
    chance = random.Random(seed)  # noqa: S311 - to repeat a run, not to keep a secret
    statuses: Counter[int] = Counter()
    for number in range(requests):
        drawn = draw(chance)
        answers = [world.send(drawn) for world in worlds]
        for answer in answers:
            told = f"request {number} of seed {seed}: {drawn} got {answer}"
            assert answer.status < 500, told
            assert "html" not in answer.headers.get("content-type", ""), told
            if answer.status >= 400 and drawn.method != "HEAD":
                assert answer.headers["content-type"] == "application/problem+json", told
        assert len({comparable(answer) for answer in answers}) == 1, f"{drawn} got {answers}"
        statuses[answers[0].status] += 1
        tell(number + 1)
    return statuses
