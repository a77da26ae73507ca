"""What ``REDIS_URL`` may say, and what it is refused for."""

from pathlib import Path
from typing import Any

import pytest

from database.redis.address import WrongAddress, parse


def told(url: str) -> tuple[Any, ...]:
    """Return form, hosts with ports, and service."""
    address = parse(url)
    hosts = [(seed.get("host"), seed.get("port")) for seed in address.seeds]
    return (address.form, hosts, address.service)


@pytest.mark.parametrize(
    ("url", "form", "hosts", "service"),
    [
        ("redis://db", "", [("db", None)], ""),
        ("rediss://[::1]:6380/3", "", [("::1", 6380)], ""),
        ("redis+cluster://a", "cluster", [("a", None)], ""),
        ("redis+cluster://a:1,b:2/", "cluster", [("a", 1), ("b", 2)], ""),
        ("rediss+cluster://u:p@[fd00::1]:1,b", "cluster", [("fd00::1", 1), ("b", None)], ""),
        ("redis+sentinel://a,b:2/m", "sentinel", [("a", 26379), ("b", 2)], "m"),
        ("rediss+sentinel://a/my%2Fmaster/4", "sentinel", [("a", 26379)], "my/master"),
    ],
)
def test_an_address_names_its_servers(
    url: str, form: str, hosts: list[tuple[str, int]], service: str
) -> None:
    assert told(url) == (form, hosts, service)


def test_credentials_and_certificates_are_those_of_each_server(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()

    first, second = parse(
        f"rediss+cluster://me:p%40ss@a:1,b:2?ssl_ca_certs={authority}&ssl_check_hostname=no"
    ).seeds

    assert first["connection_class"].__name__ == "SSLConnection"
    assert (second["username"], second["password"]) == ("me", "p@ss")
    assert (second["ssl_ca_certs"], second["ssl_check_hostname"]) == (str(authority), False)


def test_sentinels_have_credentials_and_the_primary_a_database_of_their_own() -> None:
    address = parse("redis+sentinel://me:pass@a/m/4?sentinel_password=other")

    assert address.primary == {"username": "me", "password": "pass", "db": 4}
    assert address.seeds == ({"host": "a", "port": 26379, "password": "other"},)


def test_a_socket_has_a_path_and_a_database() -> None:
    (seed,) = parse("unix:///run/redis.sock?db=2").seeds

    assert (seed["path"], seed["db"]) == ("/run/redis.sock", 2)


def test_a_value_is_no_name_of_a_parameter() -> None:
    (seed,) = parse("redis://a/3?client_name=db=4").seeds

    assert (seed["db"], seed["client_name"]) == (3, "db=4")


@pytest.mark.parametrize(
    "url",
    [
        "redis+clusters://a",
        "unix+cluster:///run/redis.sock",
        "redis+cluster://",
        "redis+cluster://a,,b",
        "redis+cluster://a:0",
        "redis+cluster://a:65536",
        "redis+cluster://a:b",
        "redis+cluster://a/1",
        "redis+cluster://a?db=1",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a/m/x",
        "redis://a,b",
        "redis://a:1,b:2",
        "redis://:pass?hunter2@a",
        "redis://a/0?socket_timeout=30",
        "redis://a/0?socket_connect_timeout=30",
        "redis://a/0?decode_responses=true",
        "redis://a/0?retry_on_timeout=true",
        "redis://a/0?max_connections=1",
        "redis://a/0?client_name=",
        "redis://a/0?ssl_cert_reqs=none",
        "redis://a/0?sentinel_password=x",
        "redis://a/0#x",
        "rediss://a?ssl_cert_reqs=sometimes",
        "rediss://a?ssl_ca_certs=/nowhere/ca.pem",
        "unix://",
        "unix:///run/redis.sock?db=x",
    ],
)
def test_what_cannot_be_honoured_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(WrongAddress) as refused:
        parse(url)

    problem, remedy = refused.value.args
    assert problem[0].islower()
    assert remedy[0].isupper()
    assert "hunter2" not in problem + remedy
