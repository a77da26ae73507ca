"""A reverse proxy that asks whether a request may pass, inside the process, no network."""

import itertools
import json
from collections.abc import Iterable
from time import monotonic
from typing import Any, NamedTuple

from apikeys.lifecycle import IssuedKey
from config.server.environ import environ_of
from gateway import forward_auth

PEER = "127.0.0.1"
IDENTITY = ("Key-Id", "Environment", "Permission", "Customers")
DIALECTS = ("", "nginx", "envoy")
# Settings of a product that believes a proxy on this machine.
TRUSTING = {"TRUSTED_PROXIES": "127.0.0.1/32"}
_clients = itertools.product(range(256), range(256), range(1, 255))


def forwarded(uri: str, method: str = "GET") -> dict[str, str]:
    """Return what a proxy sends over HTTP with its question, in every dialect but Envoy's."""
    return {
        "X-Forwarded-Method": method,
        "X-Forwarded-Uri": uri,
        "X-Forwarded-Host": "orders.example",
        "X-Forwarded-For": "198.51.100.7",
    }


class Reply(NamedTuple):
    """What the proxy was answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def true_status(self) -> int:
        """Return the decision's status, which nginx is told in a header."""
        return int(self.headers.get("X-Latchkey-Status", self.status))

    @property
    def problem(self) -> Any:
        """Return the problem details, which nginx is told in a header; None if there are none."""
        text = self.headers.get("X-Latchkey-Problem") or self.body
        return json.loads(text) if text else None

    @property
    def code(self) -> str:
        """Return the problem's code, blank without one."""
        return self.problem["code"] if self.problem else ""

    @property
    def identity(self) -> tuple[str, ...]:
        """Return the identity fields, all of which have to be there."""
        return tuple(self.headers[f"X-Latchkey-{name}"] for name in IDENTITY)


class Proxy:
    """Asks about requests to one service, in one dialect."""

    def __init__(
        self,
        service: str,
        dialect: str = "",
        *,
        environment: str = "production",
        peer: str = PEER,
    ) -> None:
        self.base = f"/auth/{environment}/{service}" + (f"/{dialect}" if dialect else "")
        self.dialect = dialect
        self.peer = peer

    def ask(
        self,
        credential: IssuedKey | str | None = None,
        *,
        method: str = "GET",
        uri: str = "/",
        client: str | None = None,
        by: str = "GET",
        without: str = "",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Reply:
        """Ask about a request; ``by`` is the method of asking, where it is the proxy's own."""
        text = credential.credential if isinstance(credential, IssuedKey) else credential
        # An address of its own, so that what others were refused is not counted against it.
        client = client or f"10.{'.'.join(map(str, next(_clients)))}"
        path, _, query = self.base.partition("?")
        fields = [("X-Forwarded-For", client)]
        if self.dialect == "envoy":
            by = method
            path, _, query = (self.base + uri).partition("?")
            fields += [("Host", "orders.example")]
        else:
            fields += [
                ("X-Forwarded-Method", method),
                ("X-Forwarded-Uri", uri),
                ("X-Forwarded-Host", "orders.example"),
                ("Host", "latchkey"),
            ]
        fields += [("Authorization", f"Bearer {text}")] if text else []
        fields = [(name, value) for name, value in fields if name != without]
        return self.send(by, path, query, [*fields, *headers])

    def send(self, method: str, path: str, query: str, fields: Iterable[tuple[str, str]]) -> Reply:
        """Send a request as it is."""
        scope = {
            "method": method,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "http_version": "1.1",
            "scheme": "http",
            "server": ("latchkey", "80"),
            "client": (self.peer, 50_000),
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
        }
        started: list[tuple[str, list[tuple[str, str]]]] = []
        body = forward_auth.application(
            environ_of(scope, None, 0, monotonic()), lambda *answer: started.append(answer)
        )
        status, lines = started[0]
        names = [name for name, _ in lines]
        assert len(names) == len(set(names)), names
        return Reply(int(status[:3]), dict(lines), b"".join(body))
