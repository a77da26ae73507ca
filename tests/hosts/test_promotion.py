"""PostgreSQL's standby takes over: no acknowledged change is lost, and no host is restarted."""

import http.client
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from tests.support.hosts import Hosts
from tests.support.load import Connection
from tests.support.product import LOTS, Latchkey
from tests.support.servers import wait_until

pytestmark = pytest.mark.crash

KEYS = "/api/production/v1/keys"
KEY = "/api/production/v1/key"
JSON = {"Content-Type": "application/json"}
CHANGERS = 2
IN_A_ROW = 10
Harm = Callable[[Hosts], None]


class Change(NamedTuple):
    """A change that was acknowledged: whether the key is good since."""

    key: str
    is_good: bool


class Promotion(NamedTuple):
    """Changes acknowledged, those of them that are lost, and seconds until all hosts answer.

    These count from the loss of the primary, and from the end of the promotion.
    """

    changes: int
    lost: int
    after_loss: float
    after_promotion: float


def kill(hosts: Hosts) -> None:
    hosts.primary.stop(signal.SIGKILL)


def freeze(hosts: Hosts) -> None:
    hosts.primary.freeze()


def promote(hosts: Hosts, harm: Harm = kill) -> Promotion:
    """Make and revoke keys on both hosts, take the primary away, and promote the standby."""
    manager = hosts.one.create_key("--permission", "keys:manage", *LOTS)["key"]
    caller = hosts.one.create_key(*LOTS)["key"]
    stopping = threading.Event()
    with ThreadPoolExecutor() as pool:
        changers = [
            pool.submit(_change_through_api, host, manager, stopping)
            for host in hosts.all * CHANGERS
        ]
        if harm is not freeze:
            # A command has no deadline: one that a silent server keeps waiting is interrupted.
            changers.append(pool.submit(_change_through_command, hosts.one, stopping))
        try:
            time.sleep(1.5)
            lost_at = time.monotonic()
            harm(hosts)
            time.sleep(0.5)
            hosts.standby.promote()
            promoted_at = time.monotonic()
            wait_until(lambda: all(answers(host, caller) for host in hosts.all))
            answered_at = time.monotonic()
            time.sleep(0.5)
        finally:
            stopping.set()
        changes = [change for changer in changers for change in changer.result()]
    return Promotion(
        changes=len(changes),
        lost=sum(_is_good(hosts, change.key) != change.is_good for change in changes),
        after_loss=answered_at - lost_at,
        after_promotion=answered_at - promoted_at,
    )


def _change_through_api(host: Latchkey, manager: str, stopping: threading.Event) -> list[Change]:
    """Make keys and revoke every other one; return what was acknowledged."""
    changes: list[Change] = []
    limits = {"minute": 100, "hour": 100, "day": 100}
    body = json.dumps({"name": "Changed", "permissions": [], "limits": limits}).encode()
    for number in itertools.takewhile(lambda _: not stopping.is_set(), itertools.count()):
        made = _post(host, manager, KEYS, body)
        if made is None:
            time.sleep(0.05)
        elif number % 2:
            changes.append(Change(made["key"], is_good=True))
        # Where nobody says so, it may be revoked or not.
        elif _post(host, manager, f"{KEYS}/{made['id']}/revoke", b"{}") is not None:
            changes.append(Change(made["key"], is_good=False))
    return changes


def _change_through_command(host: Latchkey, stopping: threading.Event) -> list[Change]:
    changes: list[Change] = []
    while not stopping.is_set():
        done = host.manage("create_api_key", "Test", "--environment", "production", "--json")
        if done.returncode == 0:
            changes.append(Change(json.loads(done.stdout)["key"], is_good=True))
    return changes


def _post(host: Latchkey, credential: str, path: str, body: bytes) -> Any:
    """Return what is answered, None for a refusal or no answer."""
    connection = Connection(host.url, credential)
    try:
        answer = connection.send("POST", path, body, **JSON)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return json.loads(answer.body) if answer.status in {200, 201} else None


def answers(host: Latchkey, credential: str) -> bool:
    """Say whether every request in a row is answered, so each of its processes answers."""
    with suppress(OSError, http.client.HTTPException):
        for _ in range(IN_A_ROW):
            connection = Connection(host.url, credential)
            status = connection.send("GET", KEY).status
            connection.close()
            if status != 200:
                return False
        return True
    return False


def _is_good(hosts: Hosts, credential: str) -> bool:
    statuses: list[int] = []

    def is_told() -> bool:
        connection = Connection(hosts.two.url, credential)
        statuses.append(connection.send("GET", KEY).status)
        connection.close()
        # Each connection to a server that is silent costs one request.
        return statuses[-1] != 503

    wait_until(is_told)
    assert statuses[-1] in {200, 401}
    return statuses[-1] == 200


@pytest.mark.parametrize("harm", [kill, freeze])
def test_a_promotion_loses_no_acknowledged_change(harm: Harm) -> None:
    with Hosts() as hosts:
        found = promote(hosts, harm)
        # Workers too have found the new primary.
        wait_until(hosts.is_ready)

    assert found.changes > 20
    assert found.lost == 0
