"""The files with which a proxy asks; tests/proxies runs them."""

import json
from pathlib import Path

import pytest

from gateway.proxies import PROXIES, configuration
from tests.support.command_line import Run

pytestmark = pytest.mark.django_db


def filled(proxy: str) -> str:
    files = configuration(
        proxy,
        service="orders",
        environment="staging",
        latchkey="keys.internal:8443",
        application="[::1]:9443",
    )
    return "\n".join([*files, *files.values()])


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_file_names_the_service_the_environment_and_latchkey(proxy: str) -> None:
    text = filled(proxy)

    assert "orders" in text
    assert "staging" in text
    assert "keys.internal" in text
    assert "8443" in text


def test_a_problem_that_a_proxy_answers_is_one_of_the_guards() -> None:
    text = filled("nginx")

    problem = json.loads(text.partition("return 503 '")[2].partition("'")[0])
    assert problem["type"] == "urn:latchkey:problem:unavailable"
    assert (problem["status"], problem["code"]) == (503, "unavailable")


def test_an_address_may_be_one_of_ipv6() -> None:
    assert "address: ::1, port_value: 9443" in filled("envoy")


def test_the_command_writes_the_files_and_names_them(run: Run, tmp_path: Path) -> None:
    run("create_service", "orders")

    folder = tmp_path / "new"
    written = run("write_proxy", "nginx", "orders", "--environment", "staging", "--to", str(folder))

    names = ["latchkey-http.conf", "latchkey-orders-server.conf", "latchkey-orders-location.conf"]
    assert written == (0, "".join(f"{folder / name}\n" for name in names), "")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nginx", "none"), "There is no service 'none'."),
        (("nginx", "orders", "--latchkey", "http://keys"), "'http://keys' is not an address."),
        (("nginx", "orders", "--application", "a; b:1"), "'a; b:1' is not an address."),
        (("nginx", "orders", "--to", "/dev/null/x"), "/dev/null/x cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    run("create_service", "orders")

    code, out, err = run("write_proxy", "--environment", "staging", *arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
