"""WSGI middleware (PEP 3333), for Flask and whatever else speaks WSGI.

The decision of an admitted request is ``environ["latchkey.decision"]``.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from latchkey_guard.decision import Decision
from latchkey_guard.guard import Guard, question

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class GuardMiddleware:
    """Asks about each request: by the rules of ``service``, or for one ``permission``.

    With neither, any valid key will do. The caller's address is ``REMOTE_ADDR``: behind a proxy
    put what reads the proxy's word around this (Werkzeug: ``ProxyFix``).
    """

    def __init__(self, app: App, guard: Guard, *, service: str = "", permission: str = "") -> None:
        if service and permission:
            raise ValueError("The service's rules name permissions. Give either one, not both.")
        self.app = app
        self.guard = guard
        self.asked = {"service": service, "permission": permission}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass an admitted request on; answer a refused one."""
        decision = decide(self.guard, environ, **self.asked)
        if not decision.valid:
            body = b"" if environ["REQUEST_METHOD"] == "HEAD" else decision.body()
            headers = decision.headers() | {"Content-Length": str(len(decision.body()))}
            phrase = HTTPStatus(decision.status).phrase
            start_response(f"{decision.status} {phrase}", list(headers.items()))
            return [body]
        environ["latchkey.decision"] = decision

        def start_with_headers(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            own = {name.lower() for name, _ in headers}
            added = [pair for pair in decision.headers().items() if pair[0].lower() not in own]
            return start_response(status, headers + added, *rest)

        return self.app(environ, start_with_headers)


def decide(guard: Guard, environ: Environ, *, service: str = "", permission: str = "") -> Decision:
    """Return the decision about a request."""
    # PEP 3333 passes the bytes of a path as Latin-1.
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    asked = question(
        guard,
        [environ["HTTP_AUTHORIZATION"]] if "HTTP_AUTHORIZATION" in environ else [],
        [environ["HTTP_X_API_KEY"]] if "HTTP_X_API_KEY" in environ else [],
        method=environ["REQUEST_METHOD"],
        path=path.encode("latin-1").decode("utf-8", "surrogateescape"),
        service=service,
        permission=permission,
        address=environ.get("REMOTE_ADDR", ""),
        traceparent=environ.get("HTTP_TRACEPARENT", ""),
    )
    if isinstance(asked, Decision):
        return asked
    credential, fields = asked
    return guard.verify(credential, **fields)
