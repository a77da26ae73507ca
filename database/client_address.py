"""Client addresses, taken from ``X-Forwarded-For`` only as far as trusted proxies wrote it."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Networks(tuple[Network, ...]):
    """Networks, equal only to themselves: by value they would be hashed in Python each time."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__


UNKNOWN = "0.0.0.0"  # noqa: S104 - names "no address", binds nothing
MAPPED_BITS = 96
MAX_KNOWN = 256


def client_address(meta: Mapping[str, Any], trusted: Networks) -> str:
    """Return the caller's address in canonical form.

    ``X-Forwarded-For`` is read from its right end, for as long as the hop that wrote an entry
    is itself trusted; the first address that is not is the client. If it meets an entry that is
    no address before that, the client is unknown: never the proxy, which keys may be limited to.
    So it is with a header that is there and blank, which is what the server makes of one with
    odd bytes. Unless the peer is a trusted proxy the header counts for nothing.
    """
    forwarded = meta.get("HTTP_X_FORWARDED_FOR")
    # Long values are not cached: anyone can send many of them.
    judge = _client if forwarded is None or len(forwarded) <= MAX_KNOWN else _client.__wrapped__
    return judge(meta.get("REMOTE_ADDR", ""), forwarded, trusted)


@lru_cache(maxsize=4096)
def _client(peer: str, forwarded: str | None, trusted: Networks) -> str:
    client = parse_address(peer)
    if client is None:
        return UNKNOWN
    if forwarded is not None and _within(client, trusted):
        for entry in reversed(forwarded.split(",")):
            hop = parse_address(entry)
            if hop is None:
                return UNKNOWN
            client = hop
            if not _within(hop, trusted):
                break
    return str(client)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Read one address, with or without a port, brackets or a zone; None if it is none.

    An IPv4 address written inside IPv6 (``::ffff:192.0.2.1``) is that IPv4 address: one caller
    must not count as two, nor slip past a network written the other way.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Read a CIDR block or a single address; raise ``ValueError`` for anything else.

    Host bits must be zero: ``10.0.0.1/8`` is more likely a slip than a wish.
    """
    if "%" in text:
        raise ValueError(text)
    network = ipaddress.ip_network(text.strip())
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= MAPPED_BITS:
        return ipaddress.ip_network((mapped, network.prefixlen - MAPPED_BITS))
    return network


def is_allowed(address: str, networks: tuple[str, ...]) -> bool:
    """Say whether ``address`` may use a key limited to ``networks``; none listed means any."""
    if not networks:
        return True
    client = parse_address(address)
    return client is not None and address != UNKNOWN and _within(client, _parsed(networks))


def outside(networks: Iterable[str], allowed: Iterable[str]) -> Iterator[str]:
    """Yield those of ``networks`` that are not wholly within the ``allowed`` ones."""
    parsed: list[Any] = [ipaddress.ip_network(text) for text in allowed]
    # Two halves make a whole.
    whole = [
        network
        for version in (4, 6)
        for network in ipaddress.collapse_addresses(n for n in parsed if n.version == version)
    ]
    for text in networks:
        network: Any = ipaddress.ip_network(text)
        if not any(one.version == network.version and network.subnet_of(one) for one in whole):
            yield text


@lru_cache(maxsize=4096)
def is_trusted(peer: str, trusted: Networks) -> bool:
    """Say whether what ``peer`` says of those behind it is believed."""
    address = parse_address(peer)
    return address is not None and _within(address, trusted)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches what listens on ``host``."""
    address = parse_address(host)
    return host.casefold() == "localhost" or (address is not None and address.is_loopback)


def budget_subject(address: str) -> str:
    """Return what shares one budget: an IPv4 address, or the /64 an IPv6 host moves freely in."""
    client = parse_address(address)
    if isinstance(client, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((client, 64), strict=False))
    return address


@lru_cache(maxsize=4096)
def _parsed(networks: tuple[str, ...]) -> Networks:
    return Networks(map(ipaddress.ip_network, networks))


def _within(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
