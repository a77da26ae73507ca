"""The files to deploy with: each is checked by the program that reads it, the site by serving."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.conf import settings

from apikeys.credentials import TOKEN_LENGTH
from config.settings import variables
from tests.support.product import ROOT, Latchkey
from tests.support.servers import Server, free_port, listens, running, wait_until
from tests.support.services import PATH, program

COMPOSE = ("compose.yaml", "compose.scale.yaml")
SETTINGS = {variable.name for variable in variables.documented}
# systemd's own words: below 2 is "OK".
MAX_EXPOSURE = 2.0


class Site(Server):
    """nginx with the shipped site, on free ports and with a certificate of the test's own."""

    def __init__(self, latchkey: Latchkey) -> None:
        super().__init__()
        self.plain_port = free_port()
        self.latchkey = latchkey
        self.url = f"https://127.0.0.1:{self.port}"
        self.accesses, self.errors = self.folder / "access.log", self.folder / "error.log"

    def start(self) -> None:
        """Write the configuration, with other ports and paths, and serve."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
             "-keyout", self.folder / "latchkey.key", "-out", self.folder / "latchkey.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
        upstream = (ROOT / "deploy/nginx/upstream.conf").read_text()
        site = (ROOT / "deploy/nginx/latchkey.conf").read_text()
        written = "".join(
            line
            for line in (upstream + site).splitlines(keepends=True)
            if "listen [::]" not in line
        )
        for ours, theirs in {
            "127.0.0.1:8000": f"127.0.0.1:{self.latchkey.port}",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "/etc/nginx/tls": str(self.folder),
        }.items():
            assert ours in written
            written = written.replace(ours, theirs)
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder}/pid; error_log {self.errors}; events {{}}\n"
            f"http {{ access_log {self.accesses};\n{written}}}\n"
        )
        command = [program("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        tried = subprocess.run([*command, "-t"], capture_output=True, text=True)
        assert tried.returncode == 0, tried.stderr
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: listens(self.port))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    program("nginx")
    with (
        running(Latchkey(TRUSTED_PROXIES="127.0.0.1/32")) as latchkey,
        running(Site(latchkey)) as started,
    ):
        yield started


def test_the_site_passes_requests_on_with_the_address_of_the_client(site: Site) -> None:
    key = site.latchkey.create_key("--allow", "127.0.0.2/32")
    headers = {"Authorization": f"Bearer {key['key']}", "X-Forwarded-For": "192.0.2.7"}
    transport = httpx.HTTPTransport(local_address="127.0.0.2", verify=False)

    with httpx.Client(base_url=site.url, headers=headers, transport=transport) as client:
        answer = client.get("/api/production/v1/key")

    # An address that a client chose would be outside of the key's networks.
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == key["id"]


@pytest.mark.parametrize("path", ["/metrics", "/auth/production/orders", "/auth/x/y/nginx"])
def test_the_site_passes_on_no_question_that_is_answered_to_the_proxy_alone(
    site: Site, path: str
) -> None:
    answer = httpx.get(site.url + path, verify=False)  # noqa: S501

    assert answer.status_code == 404
    assert "X-Request-ID" not in answer.headers


def test_the_site_leads_to_tls(site: Site) -> None:
    plain = httpx.get(f"http://127.0.0.1:{site.plain_port}/admin/?x=1")

    assert plain.status_code == 301
    assert plain.headers["Location"] == "https://127.0.0.1/admin/?x=1"


def test_the_site_logs_no_hand_over_link_not_even_when_latchkey_is_down() -> None:
    program("nginx")
    stopped = Latchkey()
    token = "t" * TOKEN_LENGTH

    with ExitStack() as stack:
        stack.callback(stopped.remove)
        site = stack.enter_context(running(Site(stopped)))
        answers = [
            httpx.get(f"{url}{path}", verify=False).status_code  # noqa: S501
            for url in (f"http://127.0.0.1:{site.plain_port}", site.url)
            for path in (f"/handover/{token}", f"//%68andover/{token}?x=1", "/admin/other")
        ]
        site.stop()
        accesses, errors = site.accesses.read_text(), site.errors.read_text()

    assert answers == [301] * 3 + [502] * 3
    assert accesses.count("GET /admin/other ") == 2
    assert errors.count("GET /admin/other ") == 1
    assert token not in accesses + errors


def test_the_site_answers_a_body_that_is_too_large_as_latchkey_does(site: Site) -> None:
    body = b"x" * (settings.MAX_BODY_BYTES + 1)
    key = site.latchkey.create_key("--permission", "customers:write")
    headers = {"Authorization": f"Bearer {key['key']}", "Content-Type": "application/json"}
    path = "/api/production/v1/customers"

    theirs, ours = (
        httpx.post(f"{url}{path}", content=body, headers=headers, verify=False)  # noqa: S501
        for url in (site.url, site.latchkey.url)
    )

    assert theirs.status_code == ours.status_code == 413
    assert theirs.headers["Content-Type"] == ours.headers["Content-Type"]
    assert theirs.json().keys() == ours.json().keys()
    assert {**theirs.json(), "request_id": 0} == {**ours.json(), "request_id": 0}


def test_the_image_s_file_has_no_finding_of_hadolint() -> None:
    done = subprocess.run(
        [str(shutil.which("hadolint", path=PATH)), "--no-color", ROOT / "Containerfile"],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_of_note_from_packages_compared_with_hashes() -> None:
    text = (ROOT / "Containerfile").read_text()
    stages = text.split("\nFROM ")[1:]

    assert len(stages) == 2
    assert "--require-hashes --only-binary :all:" in stages[0]
    assert "pip install" not in stages[1]
    for line in ("USER 10001:10001", "STOPSIGNAL SIGTERM", "VOLUME /var/lib/latchkey"):
        assert f"\n{line}\n" in stages[1]
    assert "HEALTHCHECK" in stages[1]


def test_no_secret_and_no_test_is_copied_into_the_image() -> None:
    ignored = set((ROOT / ".containerignore").read_text().split())

    assert {".env", "var", ".git", ".venv", "tests"} <= ignored
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


def services(name: str) -> dict[str, Any]:
    """Return the services of a compose file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())["services"]
    return found


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_runs_latchkey_read_only_with_settings_that_exist(name: str) -> None:
    own = {part: made for part, made in services(name).items() if made["image"] == "latchkey"}

    for part, made in own.items():
        assert made["read_only"], part
        assert made["cap_drop"] == ["ALL"], part
        assert set(made["environment"]) <= SETTINGS, part
        # The tables are there before anything is served.
        if part != "migrate":
            wait = made["depends_on"]["migrate"]["condition"]
            assert wait == "service_completed_successfully"
            assert len(made["volumes"]) == 1


def test_the_larger_compose_file_has_what_several_hosts_have() -> None:
    made = services("compose.scale.yaml")

    assert set(made) == {"migrate", "web1", "web2", "worker", "postgres", "redis", "nginx"}
    assert made["web1"]["command"] == made["web2"]["command"] == ["serve"]
    assert made["web1"]["volumes"] != made["web2"]["volumes"]
    assert made["worker"]["command"] == ["worker"]
    assert {"web1:8000", "web2:8000"} == set(
        re.findall(r"server (\S+);", (ROOT / "deploy/nginx/upstream-scale.conf").read_text())
    )


def test_the_health_check_of_the_image_asks_the_running_server(latchkey: Latchkey) -> None:
    command = ["python3", str(ROOT / "config/server/healthcheck.py")]

    alive = subprocess.run(command, env={"PORT": str(latchkey.port), "PATH": PATH})
    dead = subprocess.run(
        command, env={"PORT": str(free_port()), "PATH": PATH}, capture_output=True
    )

    assert (alive.returncode, dead.returncode) == (0, 1)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists on this machine."""
    text = (ROOT / "deploy/latchkey.service").read_text()
    path = tmp_path / "latchkey.service"
    path.write_text(text.replace("/opt/latchkey/.venv/bin/python", "/usr/bin/env"))
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    done = subprocess.run(
        [program("systemd"), "verify", unit], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_the_unit_well_shut_in(unit: Path) -> None:
    done = subprocess.run(
        [program("systemd"), "security", "--offline=yes", unit], capture_output=True, text=True
    )

    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert level, done.stderr
    assert float(level[1]) <= MAX_EXPOSURE
