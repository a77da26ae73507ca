"""ASGI middleware, for FastAPI, Starlette and whatever else speaks ASGI.

The decision of an admitted request is ``scope["state"]["latchkey"]``, which Starlette and FastAPI
call ``request.state.latchkey``.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from latchkey_guard.decision import Decision
from latchkey_guard.guard import Guard, question

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
REFUSED_WEBSOCKET = 1008


class GuardMiddleware:
    """Asks about each request: by the rules of ``service``, or for one ``permission``.

    With neither, any valid key will do. The caller's address is the peer of the connection: behind
    a proxy have the server take it from the proxy (uvicorn: ``--forwarded-allow-ips``).
    """

    def __init__(self, app: App, guard: Guard, *, service: str = "", permission: str = "") -> None:
        if service and permission:
            raise ValueError("The service's rules name permissions. Give either one, not both.")
        self.app = app
        self.guard = guard
        self.asked = {"service": service, "permission": permission}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on; answer a refused one."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        decision = await self._decide(scope)
        if not decision.valid:
            await _refuse(scope, receive, send, decision)
            return
        scope.setdefault("state", {})["latchkey"] = decision
        await self.app(scope, receive, _with_headers(send, decision))

    async def _decide(self, scope: Scope) -> Decision:
        values: dict[bytes, list[str]] = {
            b"authorization": [], b"x-api-key": [], b"traceparent": [],
        }  # fmt: skip
        for name, value in scope["headers"]:
            if name.lower() in values:
                values[name.lower()].append(value.decode("latin-1"))
        asked = question(
            self.guard,
            values[b"authorization"],
            values[b"x-api-key"],
            # A WebSocket begins with a GET.
            method=scope.get("method", "GET"),
            path=scope["path"],
            address=(scope.get("client") or ("",))[0],
            traceparent=",".join(values[b"traceparent"]),
            **self.asked,
        )
        if isinstance(asked, Decision):
            return asked
        credential, fields = asked
        return await self.guard.averify(credential, **fields)


async def _refuse(scope: Scope, receive: Receive, send: Send, decision: Decision) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": REFUSED_WEBSOCKET, "reason": decision.code})
        return
    body = decision.body()
    headers = _encoded(decision.headers() | {"Content-Length": str(len(body))})
    await send({"type": "http.response.start", "status": decision.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _with_headers(send: Send, decision: Decision) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.accept"}:
            headers = list(message.get("headers", ()))
            own = {name.lower() for name, _ in headers}
            added = _encoded(decision.headers())
            message["headers"] = headers + [pair for pair in added if pair[0] not in own]
        await send(message)

    return send_with_headers


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]
