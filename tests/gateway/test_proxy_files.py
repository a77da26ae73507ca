"""The files with which a proxy asks; tests/proxies runs them."""

import json
from pathlib import Path

import pytest

from gateway.proxies import MAIN_FILES, PROXIES, configuration, main_files
from tests.proxies.programs import BLOCK, GUIDE
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


@pytest.mark.parametrize("proxy", MAIN_FILES)
def test_the_lines_to_add_are_those_of_the_guide(proxy: str) -> None:
    """They are run as the guide has them."""
    blocks = {
        title.rpartition("/")[2]: map(str.strip, text.splitlines())
        for _, title, text in BLOCK.findall(GUIDE)
        if title.startswith(f"{proxy}/")
    }

    files = main_files(proxy, service="orders", application="127.0.0.1:9000")

    assert files
    for name, text in files.items():
        missing = [line for line in text.splitlines() if line.strip() not in blocks[name]]
        assert missing == []


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
