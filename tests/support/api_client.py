"""A caller of the public API, inside the process: the whole middleware stack, no network."""

import itertools
import json
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from apikeys.environments import Environment
from apikeys.lifecycle import IssuedKey
from gateway.endpoints import application as endpoints
from logs.capture.record import Record
from logs.capture.spool import files

_addresses = itertools.product(range(256), range(256), range(1, 255))


class Caller:
    """Calls one environment's API with one credential."""

    client_class = Client

    def __init__(
        self,
        credential: IssuedKey | str | None = None,
        *,
        environment: Environment | str = Environment.PRODUCTION,
        **meta: str,
    ) -> None:
        text = credential.credential if isinstance(credential, IssuedKey) else credential
        headers = {"HTTP_AUTHORIZATION": f"Bearer {text}"} if text else {}
        # An address of its own, so that what others were refused is not counted against it.
        meta.setdefault("REMOTE_ADDR", f"10.{'.'.join(map(str, next(_addresses)))}")
        meta.setdefault("HTTP_HOST", "testserver")
        self.environment = environment
        self.base = f"/api/{environment}/v1/"
        self._client = self.client_class(raise_request_exception=False, **{**headers, **meta})

    def call(self, method: str, path: str, body: Any = None, **meta: Any) -> Any:
        """Send a request; ``body`` is JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        content_type = meta.pop("content_type", "application/json" if body is not None else "")
        return self._client.generic(
            method, self.base + path, data=data, content_type=content_type, **meta
        )

    def get(self, path: str, **meta: Any) -> Any:
        """GET."""
        return self.call("GET", path, **meta)

    def post(self, path: str, body: Any = None, **meta: Any) -> Any:
        """POST."""
        return self.call("POST", path, body, **meta)

    def patch(self, path: str, body: Any = None, **meta: Any) -> Any:
        """PATCH."""
        return self.call("PATCH", path, body, **meta)

    def delete(self, path: str, **meta: Any) -> Any:
        """DELETE."""
        return self.call("DELETE", path, **meta)


class _EdgeClient(Client):
    """Asks the edge first, as ``config.wsgi`` does."""

    def request(self, **request: Any) -> Any:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        body = endpoints.application(
            self._base_environ(**request), lambda *answer: started.append(answer)
        )
        if body is None:
            return super().request(**request)
        status, lines = started[0]
        response = HttpResponse(b"".join(body), status=int(status[:3]), headers=dict(lines))
        response.json = lambda: json.loads(response.content)
        return response


class EdgeCaller(Caller):
    """A caller whose usual requests to the endpoints of decisions do not reach Django."""

    client_class = _EdgeClient


def record_of(answer: Any) -> Record:
    """Return the one record of an answered request."""
    lines = [line for path in files(settings.LOG_SPOOL) for line in path.open("rb")]
    found = [Record(*json.loads(line)) for line in lines]
    (record,) = [one for one in found if one.id == answer.headers["X-Request-ID"]]
    return record
