"""The product running: what a new user does first, and what an operator fears."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.product import ROOT, Latchkey
from tests.support.servers import free_port, listens, running, wait_until


def test_the_first_calls_of_a_new_user(latchkey: Latchkey) -> None:
    made = latchkey.create_key("--per-minute", "4", environment="staging")
    with latchkey.caller(made["key"]) as api:
        own = api.get("/api/staging/v1/key")
        elsewhere = api.get("/api/production/v1/key")
        forbidden = api.get("/api/staging/v1/customers")
        for _ in range(2):
            api.get("/api/staging/v1/key")
        limited = api.get("/api/staging/v1/key")
        latchkey.manage("update_api_key", made["id"], "--per-minute", "100")
        raised = api.get("/api/staging/v1/key")
        latchkey.manage("revoke_api_key", made["id"])
        revoked = api.get("/api/staging/v1/key")

    assert own.status_code == 200
    assert own.headers["ratelimit"].startswith('"minute";r=3;t=60, ')
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (401, "environment_mismatch")
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "permission_denied")
    assert limited.status_code == 429
    assert 0 < int(limited.headers["retry-after"]) <= 60
    assert raised.status_code == 200
    assert (revoked.status_code, revoked.json()["code"]) == (401, "key_revoked")


def test_a_repeated_header_is_more_than_one_credential(latchkey: Latchkey) -> None:
    key = latchkey.create_key()["key"]
    pairs = [("X-API-Key", key), ("X-API-Key", key)]

    response = httpx.get(f"{latchkey.url}/api/production/v1/key", headers=pairs)

    assert (response.status_code, response.json()["code"]) == (400, "multiple_credentials")


def test_a_body_may_be_sent_in_chunks(latchkey: Latchkey) -> None:
    key = latchkey.create_key("--permission", "customers:write")["key"]

    def send(*chunks: bytes) -> httpx.Response:
        with latchkey.caller(key) as api:
            return api.post(
                "/api/production/v1/customers",
                content=iter(chunks),
                headers={"Content-Type": "application/json"},
            )

    assert send(b'{"name": ', b'"In chunks"}').status_code == 201
    assert send(b'{"name": "', b"x" * 1_100_000, b'"}').json()["code"] == "body_too_large"
    assert send(b"").json()["code"] == "malformed_body"


def test_a_huge_body_is_refused_before_it_is_read(latchkey: Latchkey) -> None:
    key = latchkey.create_key("--permission", "customers:write")["key"]
    with latchkey.caller(key) as api:
        response = api.post(
            "/api/production/v1/customers",
            content=b"x" * 3_000_000,
            headers={"Content-Type": "application/json"},
        )

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_refused_body_does_not_break_the_callers_next_request(latchkey: Latchkey) -> None:
    known = {"Authorization": f"Bearer {latchkey.create_key()['key']}"}
    path = f"{latchkey.url}/api/production/v1/customers"
    with httpx.Client() as http:
        closed = [
            http.post(path, json={"name": "x" * size}, headers=headers).headers.get("Connection")
            for headers, size in ((known, 10), (known, 30_000), ({}, 10))
            for _ in range(5)
        ]

    assert closed == [None] * 15


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/production/v1/key%00 HTTP/1.1",
        b"GET /api/production/v1/%ff%fe HTTP/1.1",
        b"GET /api/production/v1/key?%ff=%00 HTTP/1.1",
        b"FOO /api/production/v1/key HTTP/1.1",
        b"GET /api/../api/production/v1/key HTTP/1.1",
        b"GET //api/production/v1/key HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
    ],
)
def test_odd_request_lines_get_an_answer_and_never_a_page(
    latchkey: Latchkey, request_line: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", latchkey.port), timeout=5) as connection:
        connection.sendall(request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    status = int(answer.split(b" ", 2)[1])
    assert 400 <= status < 500
    if b"/api/production" in request_line and b"//" not in request_line[:6]:
        assert b"application/problem+json" in answer


@pytest.fixture(scope="module")
def files() -> Iterator[Latchkey]:
    """The product on files, which a test may stop."""
    with running(Latchkey()) as started:
        yield started


@pytest.fixture
def server(files: Latchkey) -> Latchkey:
    """The same, and it serves."""
    if files.process is None:
        files.serve()
    return files


def test_the_web_server_serves_alone(latchkey: Latchkey) -> None:
    port = free_port()
    alone = subprocess.Popen(
        [sys.executable, "-m", "config.server.granian"],
        cwd=ROOT,
        env=latchkey.environment | {"PORT": str(port), "WEB_CONCURRENCY": "1"},
    )

    try:
        wait_until(lambda: alone.poll() is not None or listens(port))
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz")
    finally:
        alone.terminate()
        alone.wait(20)

    assert answer.json() == {"status": "ok"}


def test_it_says_that_it_serves_once_the_port_is_answered(files: Latchkey) -> None:
    files.stop()
    said: list[bool] = []
    with (files.folder / "said.log").open("w+") as log:
        files.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"], cwd=ROOT, env=files.environment, stderr=log
        )

        def has_said() -> bool:
            log.seek(0)
            if "Serving on" in log.read():
                said.append(listens(files.port))
            return bool(said)

        wait_until(has_said)

    assert said == [True]


def test_a_runner_comes_with_a_job_and_goes_without_one() -> None:
    with running(Latchkey(JOB_CONCURRENCY="2")) as server:
        # The demo data has jobs that wait.
        wait_until(lambda: bool(server.processes("latchkey-runner")))
        wait_until(lambda: not server.processes("latchkey-runner"))
        assert len(server.processes("")) == 5


def still_serves(latchkey: Latchkey) -> bool:
    try:
        return httpx.get(f"{latchkey.url}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("part", ["latchkey-server", "latchkey-worker"])
def test_a_killed_part_is_started_again(latchkey: Latchkey, part: str) -> None:
    before = latchkey.processes(part)
    assert before

    for pid in before:
        os.kill(pid, signal.SIGKILL)

    wait_until(lambda: bool(set(latchkey.processes(part)) - set(before)))
    wait_until(latchkey.is_ready)


def test_a_killed_web_process_is_replaced_while_the_others_serve(latchkey: Latchkey) -> None:
    wait_until(lambda: len(latchkey.processes("latchkey-web")) == 2)
    victim = max(latchkey.processes("latchkey-web"))

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: victim not in latchkey.processes("latchkey-web"))
    wait_until(lambda: len(latchkey.processes("latchkey-web")) == 2)
    assert still_serves(latchkey)


def test_each_web_process_keeps_to_a_core_of_its_own(latchkey: Latchkey) -> None:
    def are_apart(*, without: int = 0) -> bool:
        web = latchkey.processes("latchkey-web")
        cores: set[frozenset[int]] = set()
        with suppress(ProcessLookupError):
            cores = {frozenset(os.sched_getaffinity(pid)) for pid in web}
        return without not in web and [len(core) for core in cores] == [1, 1]

    wait_until(are_apart)
    victim = latchkey.processes("latchkey-web")[0]

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: are_apart(without=victim))
    # The one of them that listened is gone, and the next may still be loading.
    wait_until(latchkey.is_ready)


def test_nothing_outlives_a_supervisor_that_is_killed(server: Latchkey) -> None:
    family = server.processes("")

    server.stop(signal.SIGKILL)

    wait_until(lambda: not any(alive(pid) for pid in family), 20)
    wait_until(lambda: not listens(server.port))
    server.serve()


def test_a_request_that_never_ends_keeps_no_web_process_without_its_server(
    server: Latchkey,
) -> None:
    key = server.create_key("--permission", "customers:write")["key"]
    web = server.processes("latchkey-web")
    (parent,) = server.processes("latchkey-server")
    head = (
        "POST /api/production/v1/customers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as caller:
        caller.sendall(head.encode())
        time.sleep(0.5)

        os.kill(parent, signal.SIGKILL)

        wait_until(lambda: not any(alive(pid) for pid in web), 5)
    wait_until(server.is_ready)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_stopping_is_clean_and_starting_again_keeps_everything(server: Latchkey) -> None:
    made = server.create_key("--per-minute", "3")
    path = "/api/production/v1/key"
    with server.caller(made["key"]) as api:
        statuses = [api.get(path).status_code for _ in range(2)]

    server.stop(signal.SIGTERM)
    assert not listens(server.port)
    prepared = server.manage("bootstrap")
    server.serve()

    assert "password printed at the first start" in prepared.stdout
    with server.caller(made["key"]) as api:
        statuses += [api.get(path).status_code for _ in range(2)]
    assert statuses == [200, 200, 200, 429]


def test_the_key_of_the_first_start_cannot_manage_keys(latchkey: Latchkey) -> None:
    keys = json.loads(latchkey.manage("list_api_keys", "--json").stdout)
    (made,) = (key for key in keys if key["name"] == "Quickstart")

    assert "customers:write" in made["permissions"]
    assert not any(code.startswith("keys:") for code in made["permissions"])


def test_a_second_start_on_the_same_port_says_so(latchkey: Latchkey) -> None:
    assert listens(latchkey.port)

    done = latchkey.manage("serve")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"latchkey: PORT {latchkey.port} is in use."
        " Stop what listens there, or set PORT to another.\n"
    )


def test_a_database_without_tables_says_so(tmp_path: Path) -> None:
    server = Latchkey(LATCHKEY_VAR=str(tmp_path / "empty"))

    done = server.manage("serve")

    assert done.returncode == 2
    assert "manage.py migrate" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_request_that_runs_while_it_is_told_to_stop_is_answered(server: Latchkey) -> None:
    key = server.create_key("--permission", "customers:write")["key"]
    answers: list[Any] = []

    def slowly() -> Any:
        yield b'{"name": '
        time.sleep(1.5)
        yield b'"Slow"}'

    def send() -> None:
        with server.caller(key) as api:
            answers.append(
                api.post(
                    "/api/production/v1/customers",
                    content=slowly(),
                    headers={"Content-Type": "application/json"},
                ).status_code
            )

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    server.stop(signal.SIGTERM)
    sender.join()

    assert answers == [201]


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


def test_behind_nginx_a_client_cannot_choose_its_address(
    latchkey: Latchkey, nginx: str, tmp_path: Path
) -> None:
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, port=port, upstream=latchkey.port))
    near = latchkey.create_key("--allow", "127.0.0.5/32")["key"]
    far = latchkey.create_key("--allow", "203.0.113.0/24")["key"]
    proxied = latchkey.create_key("--allow", "127.0.0.1/32")["key"]
    proxy = subprocess.Popen([nginx, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port))
        transport = httpx.HTTPTransport(local_address="127.0.0.5")
        with httpx.Client(transport=transport) as client:
            address = f"http://127.0.0.1:{port}/api/production/v1/key"
            statuses = [
                client.get(
                    address, headers={"Authorization": f"Bearer {key}", header: "203.0.113.9"}
                ).status_code
                for key in (near, far)
                for header in ("X-Forwarded-For", "X_Forwarded_For")
            ]
            # The server hands a header with such bytes over as a blank one.
            odd = [
                client.get(
                    address,
                    headers=[
                        (b"Authorization", f"Bearer {proxied}".encode()),
                        (b"X-Forwarded-For", text),
                    ],
                ).status_code
                for text in (b"\xff", "ü".encode(), b"127.0.0.1,\xff", b",")
            ]
    finally:
        proxy.terminate()
        proxy.wait()

    assert statuses == [200, 200, 403, 403]
    assert odd == [403, 403, 403, 403]
