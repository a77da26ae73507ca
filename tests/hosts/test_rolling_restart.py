"""Hosts behind a balancer are restarted in turn, and no request fails."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.hosts import NAME, Hosts
from tests.support.load import Connection
from tests.support.product import LOTS
from tests.support.servers import wait_until

pytestmark = pytest.mark.crash

API = "/api/production/v1"
RATE = 200
CALLERS = 10


def restart_drained(hosts: Hosts) -> None:
    """Restart each host as docs/scaling.md says."""
    for number, host in enumerate(hosts.all):
        hosts.balancer.drain(number)
        host.stop()
        host.serve()
        hosts.balancer.restore(number)


def restart(hosts: Hosts) -> None:
    """Restart each host once the other is back, and tell the balancer nothing."""
    for number, host in enumerate(hosts.all):
        host.stop()
        host.serve()
        wait_until(lambda number=number: hosts.balancer.is_up(number))  # type: ignore[misc]


def under_load(hosts: Hosts, act: Callable[[Hosts], None], rate: int = RATE) -> Counter[str]:
    """Send so many requests a second through the balancer while ``act`` runs; return outcomes."""
    credential = hosts.one.create_key("--permission", "keys:verify", *LOTS)["key"]
    body = json.dumps({"key": credential}).encode()
    fields = {"Host": NAME, "Content-Type": "application/json"}
    stopping = threading.Event()

    def call(number: int) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        connection = Connection(hosts.balancer.url, credential)
        due_at = time.monotonic() + number / rate
        while not stopping.wait(max(0.0, due_at - time.monotonic())):
            due_at += CALLERS / rate
            try:
                if sum(outcomes.values()) % 2:
                    answer = connection.send("POST", f"{API}/keys/verify", body, **fields)
                else:
                    answer = connection.send("GET", f"{API}/key", **fields)
                outcomes[str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                outcomes[type(error).__name__] += 1
                connection.close()
                connection = Connection(hosts.balancer.url, credential)
        connection.close()
        return outcomes

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(call, number) for number in range(CALLERS)]
        try:
            time.sleep(0.5)
            act(hosts)
            time.sleep(0.5)
        finally:
            stopping.set()
    return sum((caller.result() for caller in callers), Counter())


def test_no_request_fails_while_the_hosts_are_restarted_in_turn() -> None:
    with Hosts() as hosts:
        outcomes = under_load(hosts, restart_drained)

    assert outcomes["200"] > 10 * CALLERS
    assert set(outcomes) == {"200"}
