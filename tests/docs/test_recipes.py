"""The recipes for managing keys: each script is run as a reader copies it."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.test_guide import MANAGING, with_jq
from tests.support.product import Latchkey
from tests.support.servers import wait_until

NAMED = re.compile(r"```sh (\S+)\n(.*?)```", re.DOTALL)
RECIPES = dict(NAMED.findall(MANAGING))
TO_FILE = "tee stored"


@pytest.fixture
def reader(latchkey: Latchkey, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with a managing key and the scripts."""
    for name in ("rotate.sh", "ci.sh"):
        (tmp_path / name).write_text(RECIPES[name])
        (tmp_path / name).chmod(0o755)
    managing = latchkey.create_key("--permission", "keys:manage", "--permission", "customers:read")
    variables = {
        "PATH": os.environ["PATH"],
        "KEY": managing["key"],
        "API": f"{latchkey.url}/api/production/v1",
    }
    return with_jq(variables, tmp_path)


def run(folder: Path, variables: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60
    )


def status(reader: dict[str, str], credential: str) -> int:
    headers = {"Authorization": f"Bearer {credential}"}
    return httpx.get(f"{reader['API']}/key", headers=headers).status_code


def test_a_rotated_key_is_in_the_vault_and_its_old_secret_goes_on(
    latchkey: Latchkey, reader: dict[str, str], tmp_path: Path
) -> None:
    old = latchkey.create_key("--permission", "customers:read")

    done = run(tmp_path, reader | {"STORE": TO_FILE}, "./rotate.sh", old["id"])

    stored = (tmp_path / "stored").read_text()
    assert (done.returncode, done.stderr) == (0, "")
    assert stored.startswith(f"lk_prod_{old['id']}_")
    assert stored != old["key"]
    assert [status(reader, credential) for credential in (stored, old["key"])] == [200, 200]


def test_a_vault_that_refuses_fails_the_rotation_which_can_be_run_again(
    latchkey: Latchkey, reader: dict[str, str], tmp_path: Path
) -> None:
    old = latchkey.create_key("--permission", "customers:read")

    failed = run(tmp_path, reader | {"STORE": "false"}, "./rotate.sh", old["id"])
    again = run(tmp_path, reader | {"STORE": TO_FILE}, "./rotate.sh", old["id"])

    assert (failed.returncode, again.returncode) == (1, 0)
    assert status(reader, (tmp_path / "stored").read_text()) == 200


def ci_keys(latchkey: Latchkey) -> list[Any]:
    listed: list[Any] = json.loads(latchkey.manage("list_api_keys", "--tag", "ci", "--json").stdout)
    return listed


@pytest.mark.parametrize("code", [0, 3])
def test_the_key_of_a_run_is_good_while_it_runs_and_revoked_however_it_ends(
    latchkey: Latchkey, reader: dict[str, str], tmp_path: Path, code: int
) -> None:
    script = (
        'curl -s -o /dev/null -w "%{http_code} " -H "Authorization: Bearer $LATCHKEY_KEY" $API/key;'
        f' echo "${{KEY-none}} $LATCHKEY_KEY"; exit {code}'
    )

    done = run(tmp_path, reader | {"CI_JOB_ID": "77"}, "./ci.sh", "sh", "-c", script)

    answered, managing, credential = done.stdout.split()
    made = ci_keys(latchkey)[0]
    assert (done.returncode, done.stderr) == (code, "")
    assert (answered, managing) == ("200", "none")
    assert (made["name"], made["status"], made["tags"]) == ("CI 77", "inactive", ["ci"])
    assert made["expires_at"] is not None
    assert status(reader, credential) == 401


def test_the_key_of_a_run_that_is_cancelled_is_revoked(
    latchkey: Latchkey, reader: dict[str, str], tmp_path: Path
) -> None:
    before = len(ci_keys(latchkey))
    running = subprocess.Popen(["./ci.sh", "sleep", "60"], cwd=tmp_path, env=reader)
    wait_until(lambda: len(ci_keys(latchkey)) > before)

    running.terminate()
    code = running.wait(20)

    assert code == 143
    assert ci_keys(latchkey)[0]["status"] == "inactive"


def test_a_customer_rotates_his_own_key_and_no_other(
    latchkey: Latchkey, reader: dict[str, str], tmp_path: Path
) -> None:
    writing = latchkey.create_key("--permission", "customers:write")["key"]
    with latchkey.caller(writing) as caller:
        customer = caller.post("/api/production/v1/customers", json={"name": "Contoso"}).json()
    made = []
    for line in RECIPES["customer"].splitlines():
        arguments = shlex.split(line.replace("$CUSTOMER", customer["id"]))[2:]
        made.append(json.loads(latchkey.manage(*arguments, "--json").stdout))
    used, managing = made
    other = latchkey.create_key("--permission", "customers:read")
    own = reader | {"KEY": managing["key"], "STORE": TO_FILE}

    done = run(tmp_path, own, "./rotate.sh", used["id"])
    refused = run(tmp_path, own, "./rotate.sh", other["id"])

    assert (done.returncode, done.stderr) == (0, "")
    assert status(reader, (tmp_path / "stored").read_text()) == 200
    assert refused.returncode != 0
    acted = latchkey.manage("export_events", "--by", f"key {managing['id']}").stdout
    assert [json.loads(line)["key"] for line in acted.splitlines()] == [used["id"]]
    assert "403" in refused.stderr


def test_a_customer_without_a_program_gets_a_link_that_makes_the_secret(
    latchkey: Latchkey, reader: dict[str, str]
) -> None:
    old = latchkey.create_key("--permission", "customers:read")
    [line] = RECIPES["handed"].splitlines()
    arguments = shlex.split(line.replace("$KEY_ID", old["id"]))[2:]

    url = latchkey.manage(*arguments).stdout.strip()
    path = httpx.URL(url).path
    waiting = status(reader, old["key"])
    page = httpx.post(latchkey.url + path, headers={"Sec-Fetch-Site": "same-origin"})

    new = re.search(rf"lk_prod_{old['id']}_\w{{38}}", page.text)
    assert new
    assert waiting == 200
    assert [status(reader, credential) for credential in (new[0], old["key"])] == [200, 200]
