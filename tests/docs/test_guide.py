"""The caller's guide: every line of it is run, in order, as a new user would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product import ROOT, Latchkey

GUIDE = (ROOT / "docs" / "api.md").read_text()
JOBS = (ROOT / "docs" / "jobs.md").read_text()
MANAGING = (ROOT / "docs" / "managing-keys.md").read_text()
# What the guide uses of jq: a field's value.
JQ = "import json, sys; print(json.load(sys.stdin)[sys.argv[-1].lstrip('.')])"


def blocks(language: str, document: str = GUIDE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document, re.DOTALL)


def environment(latchkey: Latchkey, document: str) -> dict[str, str]:
    """Return the environment of somebody with the key that a document says to make."""
    (command,) = re.findall(r"manage.py (create_api_key .*)", blocks("sh", document)[0])
    options = re.findall(r"--(?:permission|expires) \S+", command)
    arguments = [word for pair in options for word in pair.split()]
    made = latchkey.create_key(*arguments, "--per-minute", "1000", environment="development")
    return {
        "PATH": os.environ["PATH"],
        "KEY": made["key"],
        "API": f"{latchkey.url}/api/development/v1",
    }


@pytest.fixture
def caller(latchkey: Latchkey) -> dict[str, str]:
    """The environment of the guide's reader."""
    return environment(latchkey, GUIDE)


def with_jq(variables: dict[str, str], folder: Path) -> dict[str, str]:
    """Return an environment where a jq is found, which knows what the documents use of it."""
    if shutil.which("jq") is not None:
        return variables
    jq = folder / "jq"
    jq.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{JQ}" "$@"\n')
    jq.chmod(0o755)
    return variables | {"PATH": f"{folder}:{variables['PATH']}"}


def run_curl(lines: list[str], caller: dict[str, str], folder: Path) -> str:
    """Run lines of a document as one script; return what they printed."""
    caller = with_jq(caller, folder)
    script = "\n".join(lines).replace("curl ", "curl --silent --show-error --fail-with-body ")
    done = subprocess.run(["sh", "-e", "-c", script], env=caller, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_every_curl_line_answers_as_the_guide_says(caller: dict[str, str], tmp_path: Path) -> None:
    found = [*blocks("curl"), *blocks("curl", JOBS)]
    lines = [line for block in found for line in block.splitlines()]

    printed = run_curl(lines, caller, tmp_path)

    assert len(lines) >= 15
    assert '"code":"VALID"' in printed
    assert '"type":"report.made"' in printed
    assert printed.count('"name":"Once only"') == 2
    assert '"status":"revoked"' in printed
    assert '"type":"customers.export"' in printed


def test_keys_are_managed_as_the_document_says(latchkey: Latchkey, tmp_path: Path) -> None:
    lines = [line for block in blocks("curl", MANAGING) for line in block.splitlines()]

    printed = run_curl(lines, environment(latchkey, MANAGING), tmp_path)

    assert len(lines) >= 9
    assert '"minute":30' in printed
    assert '"key":"lk_dev_' in printed
    assert '"status":"inactive"' in printed
    assert printed.count('"status":"awaiting_hand_over"') == 1
    assert printed.count("An API key for you</h1>") == 1
    assert printed.count("Store the key now.") == 1
    assert '"action":"created"' in printed


def test_the_python_example_runs(caller: dict[str, str]) -> None:
    (program,) = blocks("python")

    done = subprocess.run(
        [sys.executable, "-c", program], env=caller, capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("VALID\n", "")


TYPED = """
import os
from client import AuthenticatedClient
from client.api.customers import create_customer, list_customers
from client.api.licenses import issue_license, validate_license_key
from client.models import CustomerInput, CustomerPage, LicenseInput, Problem, ValidateInput
from client.models import CreateCustomerEnvironment as E

api = AuthenticatedClient(base_url=os.environ["API"].split("/api/")[0], token=os.environ["KEY"])
where = E.DEVELOPMENT
made = create_customer.sync(where, client=api, body=CustomerInput(name="Typed"))
page = list_customers.sync(where, client=api, limit=1)
assert isinstance(page, CustomerPage) and page.data[0].id == made.id
sold = issue_license.sync(where, client=api, body=LicenseInput(customer=made.id, product="Pro"))
verdict = validate_license_key.sync(
    where, client=api, body=ValidateInput(license_key=sold.license_key)
)
refused = list_customers.sync(where, client=api, cursor="none")
assert isinstance(refused, Problem)
print(verdict.code.value, refused.code.value)
"""


def test_a_generated_typed_client_works(caller: dict[str, str], tmp_path: Path) -> None:
    schema = caller["API"].split("/api/")[0] + "/api/schema"
    generator = Path(sys.executable).with_name("openapi-python-client")
    made = subprocess.run(
        [generator, "generate", "--url", schema, "--meta", "none", "--output-path", "client"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr

    done = subprocess.run(
        [sys.executable, "-c", TYPED], cwd=tmp_path, env=caller, capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("VALID validation_failed\n", "")


def test_the_example_of_a_job_type_is_one() -> None:
    (program,) = blocks("python", JOBS)
    check = program + "\nfrom jobs.registry import job_types\nprint(sorted(job_types()))"

    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", check],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True,
    )  # fmt: skip

    assert "customers.set_status" in done.stdout, done.stderr
