"""Many callers at once against a running server, on plain sockets."""

import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """One answer: when its request began and ended (monotonic seconds), status and headers."""

    began: float
    ended: float
    status: int
    headers: dict[str, str]
    body: bytes
    is_write: bool


class Connection:
    """One caller's connection, kept alive."""

    def __init__(self, url: str, credential: str) -> None:
        self._parts = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        self._http = http.client.HTTPConnection(self._parts.netloc, timeout=10)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request and read the whole answer."""
        began = time.monotonic()
        self._http.request(method, path, body, {**self._headers, **headers})
        response = self._http.getresponse()
        content = response.read()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(
            began, time.monotonic(), response.status, lower, content, method not in ("GET", "HEAD")
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()


def at_once(
    callers: int, work: Callable[[int], list[Answer]], alongside: Callable[[], None] | None = None
) -> list[Answer]:
    """Run ``work(number)`` for each caller in a thread; return all answers, oldest first."""
    start = threading.Barrier(callers + 1)

    def run(number: int) -> list[Answer]:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(callers) as pool:
        running = [pool.submit(run, number) for number in range(callers)]
        start.wait()
        if alongside:
            alongside()
        answers = [answer for future in running for answer in future.result()]
    return sorted(answers, key=lambda answer: answer.began)
