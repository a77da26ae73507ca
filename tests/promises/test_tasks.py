"""Promise 7 of tasks: none is lost or stuck, and what a generator does is done once."""

import json
import os
import signal
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from tests.support.product import Latchkey
from tests.support.servers import wait_until

pytestmark = pytest.mark.crash

SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.support.task_settings",
    "JOB_LEASE_SECONDS": "3",
    "JOB_CONCURRENCY": "2",
}
KILLS = 2
STEPS = 40
PROGRAM = "import json; from tests.support import tasks; print(json.dumps({}))"


def evaluate(product: Latchkey, expression: str) -> Any:
    """Return the value of an expression in a process of the product."""
    done = product.manage("shell", "--no-imports", "-c", PROGRAM.format(expression))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tasks_survive_kill_9_and_a_generator_does_each_step_once(product: Latchkey) -> None:
    names = ("step_slowly", "go_through_slowly")
    stepping, plain = (evaluate(product, f"tasks.{name}.enqueue({STEPS}).id") for name in names)

    def effects() -> dict[str, list[int]]:
        names = evaluate(product, "tasks.names()")
        return {
            result: [names.count(f"{result} {step}") for step in range(STEPS)]
            for result in (stepping, plain)
        }

    def have_gone_on(since: dict[str, list[int]]) -> bool:
        now = effects()
        return all(now[result] != since[result] for result in now)

    for _ in range(KILLS):
        wait_until(partial(have_gone_on, effects()))
        for pid in product.processes("latchkey-runner"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def is_successful(name: str, result: str) -> bool:
        status = evaluate(product, f"tasks.{name}.get_result({result!r}).status")
        return bool(status == "SUCCESSFUL")

    for name, result in zip(names, (stepping, plain), strict=True):
        wait_until(partial(is_successful, name, result), 60)
    left = effects()
    assert left[stepping] == [1] * STEPS
    # It was killed in its midst, so it began again.
    assert left[plain][0] > 1
    assert left[plain][-1] >= 1
