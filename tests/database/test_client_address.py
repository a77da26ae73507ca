"""Whose word is taken for where a caller is."""

import ipaddress

import pytest

from database import client_address

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "", "203.0.113.9"),
        # From a stranger the header counts for nothing.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # What a client claims stands left of what the proxy saw.
        ("10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1,10.0.0.2,10.0.0.3", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7"),
        # Nobody is the proxy by sending what is no address: keys may be limited to it.
        ("10.0.0.1", "198.51.100.1, unknown", client_address.UNKNOWN),
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", client_address.UNKNOWN),
        ("10.0.0.1", "198.51.100.1,", client_address.UNKNOWN),
        ("10.0.0.1", "", client_address.UNKNOWN),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("fd00::1", "[2001:db8::5]:443", "2001:db8::5"),
        ("fd00::1", "2001:DB8:0::5%eth0", "2001:db8::5"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", client_address.UNKNOWN),
        ("not an address", "198.51.100.1", client_address.UNKNOWN),
    ],
)
def test_the_client_is_the_first_hop_that_no_trusted_proxy_vouches_for(
    peer: str, forwarded: str | None, client: str
) -> None:
    meta = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded

    assert client_address.client_address(meta, PROXIES) == client


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("203.0.113.9", (), True),
        ("203.0.113.9", ("203.0.113.0/24",), True),
        ("203.0.114.9", ("203.0.113.0/24", "2001:db8::/32"), False),
        ("2001:db8:1::9", ("203.0.113.0/24", "2001:db8::/32"), True),
        ("::ffff:203.0.113.9", ("203.0.113.0/24",), True),
        (client_address.UNKNOWN, ("203.0.113.0/24",), False),
        (client_address.UNKNOWN, ("0.0.0.0/0",), False),
        ("nonsense", ("0.0.0.0/0",), False),
    ],
)
def test_a_key_is_used_from_its_networks_only(
    address: str, networks: tuple[str, ...], allowed: bool
) -> None:
    assert client_address.is_allowed(address, networks) is allowed


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
    ],
)
def test_a_network_is_written_one_way(text: str, network: str) -> None:
    assert str(client_address.parse_network(text)) == network


@pytest.mark.parametrize(
    "text", ["", "203.0.113.7/24", "fe80::1%eth0", "10.0.0.0/33", "example.com"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        client_address.parse_network(text)


def test_an_ipv6_caller_has_one_budget_for_its_whole_network() -> None:
    subjects = {client_address.budget_subject(f"2001:db8:1:2::{host}") for host in range(1, 50)}

    assert subjects == {"2001:db8:1:2::/64"}
