"""Promise 7: jobs are not stuck, not lost, and have their effects once, whatever is killed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.support.product import LOTS, Latchkey
from tests.support.servers import wait_until

pytestmark = pytest.mark.crash

KILLS = 3
JOBS = 6
STEPS = 5
SETTINGS = {
    "JOB_TYPE_MODULES": "tests.support.job_types",
    "JOB_LEASE_SECONDS": "3",
    "JOB_CONCURRENCY": "2",
}
GRANTED = ("jobs:run", "jobs:read", "customers:read", "customers:write")
OVER = {"succeeded", "dead", "cancelled"}


class Asker:
    """Asks for jobs and looks after them."""

    def __init__(self, product: Latchkey) -> None:
        granted = [word for code in GRANTED for word in ("--permission", code)]
        made = product.create_key(*granted, *LOTS)
        headers = {"Authorization": f"Bearer {made['key']}"}
        self.http = httpx.Client(
            base_url=f"{product.url}/api/production/v1", headers=headers, timeout=10
        )

    def submit(self, kind: str, **params: Any) -> str:
        """Queue a job, however often it takes; return its id."""
        name = {"Idempotency-Key": f"{kind} {random.random()}"}  # noqa: S311
        for _ in range(200):
            with suppress(httpx.HTTPError):
                body = {"type": kind, "params": params}
                answer = self.http.post("/jobs", json=body, headers=name)
                if answer.status_code == 202:
                    return str(answer.json()["id"])
            time.sleep(0.1)
        raise AssertionError("the job was not taken")

    def look(self, job: str) -> Any:
        """Return a job, through restarts of the server."""
        for _ in range(100):
            with suppress(httpx.HTTPError):
                answer = self.http.get(f"/jobs/{job}")
                if answer.status_code == 200:
                    return answer.json()
            time.sleep(0.1)
        raise AssertionError("the job cannot be read")

    def wait(self, job: str, seconds: float = 60) -> Any:
        """Return a job once it is over."""
        wait_until(lambda: self.look(job)["status"] in OVER, seconds)
        return self.look(job)

    def effects(self) -> Counter[str]:
        """Return how often each effect was had."""
        found: Counter[str] = Counter()
        cursor = ""
        while True:
            page = self.http.get(f"/customers?limit=200{cursor}").json()
            found.update(row["name"] for row in page["data"])
            if not page["has_more"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"


def crash(
    product: Latchkey, *, kills: int, jobs: int, seed: int = 1, hosts: Sequence[Latchkey] = ()
) -> tuple[int, int, int]:
    """Ask for jobs, kill at random; return how many are stuck, lost effects, doubled effects.

    With ``hosts`` these are killed in turn, of which ``product`` is one.
    """
    hosts = hosts or [product]
    chance = random.Random(seed)  # noqa: S311
    asker = Asker(product)
    asked: list[str] = []
    for number in range(kills):
        each = max(1, jobs // kills)
        asked += [asker.submit("test.count", steps=STEPS, seconds=0.05) for _ in range(each)]
        time.sleep(chance.uniform(0.1, 0.8))
        part = ("runner", "runner", "worker", "server")[number % 4]
        for pid in hosts[number % len(hosts)].processes(f"latchkey-{part}")[:2]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    stuck = 0
    for job in asked:
        try:
            stuck += asker.wait(job)["status"] != "succeeded"
        except TimeoutError:
            stuck += 1
    effects = asker.effects()
    wanted = [f"{job} {step}" for job in asked for step in range(STEPS + 1)]
    return stuck, sum(effects[e] == 0 for e in wanted), sum(effects[e] > 1 for e in wanted)


def test_jobs_survive_kill_9_with_their_effects_once(product: Latchkey) -> None:
    assert crash(product, kills=KILLS, jobs=JOBS) == (0, 0, 0)


def test_poison_ends_by_itself_and_delays_nobody(product: Latchkey) -> None:
    asker = Asker(product)
    poison = {
        kind: asker.submit(f"test.{kind}")
        for kind in ("raise", "refuse", "exit", "endless", "eat", "hold")
    }
    began = time.monotonic()
    good = [asker.submit("test.count", steps=1) for _ in range(5)]
    for job in good:
        assert asker.wait(job)["status"] == "succeeded"
    took = time.monotonic() - began

    ended = {kind: asker.wait(job) for kind, job in poison.items()}

    assert took < 30
    assert {kind: job["status"] for kind, job in ended.items()} == dict.fromkeys(poison, "dead")
    assert {kind: job["attempt"] for kind, job in ended.items()} == {
        "raise": 2, "refuse": 1, "exit": 2, "endless": 1, "eat": 1, "hold": 1,
    }  # fmt: skip
    assert "MemoryError" in ended["eat"]["reason"]
    assert ended["refuse"]["reason"] == "There is nothing to do. Ask for something else."
    assert "Zx81kQ" not in str(ended)
    assert "Traceback" not in str(ended)
    effects = asker.effects()
    assert not [name for name in effects if name.split()[0] in poison.values()]


def test_a_running_job_stops_within_five_seconds_of_being_cancelled(product: Latchkey) -> None:
    asker = Asker(product)
    job = asker.submit("test.count", steps=1000, seconds=0.2)
    wait_until(lambda: asker.look(job)["progress"]["done"] > 1)

    answer = asker.http.post(f"/jobs/{job}/cancel")
    began = time.monotonic()
    ended = asker.wait(job, 10)

    assert (answer.status_code, ended["status"]) == (202, "cancelled")
    assert time.monotonic() - began < 5


def test_a_stop_gives_running_jobs_back(product: Latchkey) -> None:
    asker = Asker(product)
    job = asker.submit("test.count", steps=8, seconds=0.2)
    wait_until(lambda: asker.look(job)["progress"]["done"] > 1)

    for pid in product.processes("latchkey-runner"):
        os.kill(pid, signal.SIGTERM)
    ended = asker.wait(job)

    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    effects = asker.effects()
    assert [effects[f"{job} {step}"] for step in range(9)] == [1] * 9
