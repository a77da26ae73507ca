"""docs/gateway.md: what its reader does and is told. Its proxies are run by test_proxies.py."""

import re
import subprocess

import pytest

from tests.proxies.conftest import Guarded
from tests.proxies.programs import GUIDE, PROXIES, block, shell
from tests.support.product import Latchkey
from tests.support.servers import free_port, listens, wait_until

pytestmark = pytest.mark.proxy


def test_the_calls_are_answered_as_the_guide_says(guarded: Guarded) -> None:
    show = "curl --silent --output answer --write-out '%{http_code} '"
    script = block("curl").replace("curl ", f"{show} ")
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{guarded.proxy.port}")
    run = shell(script, guarded.product)

    done = subprocess.run(
        run["args"],
        env=run["env"] | {"KEY": guarded.keys["guide"]["key"]},
        cwd=guarded.proxy.folder,
        capture_output=True,
        text=True,
    )

    assert (done.stdout, done.stderr) == ("200 403 401 ", "")
    answer = (guarded.proxy.folder / "answer").read_text()
    code = "key_missing" if guarded.proxy.can.asks_for_decisions else "key_invalid"
    assert f'"{code}"' in answer


def test_the_application_of_the_guide_starts(product: Latchkey) -> None:
    port = free_port()
    script = f"exec {block('application').replace('9000', str(port))}"

    with subprocess.Popen(**shell(script, product), stderr=subprocess.DEVNULL) as application:
        wait_until(lambda: listens(port))
        application.terminate()


@pytest.mark.parametrize("name", PROXIES)
def test_the_table_says_what_the_tests_see(name: str) -> None:
    (row,) = re.findall(rf"^\| {name} \| (.*) \|$", GUIDE, re.MULTILINE)
    away, silent, limits, _ = row.split(" | ")
    can = PROXIES[name]

    assert int(away[:3]) == can.down_status
    assert ("problem details" in away) is can.down_is_problem
    assert int(re.findall(r"\d+", silent)[0]) == can.silence_seconds - 1
    assert (limits == "yes") is can.shows_decision
