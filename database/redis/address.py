"""``REDIS_URL``: one server, a cluster, or a primary that sentinels name.

What it asks for is honoured or refused here, at the start, and never met by a request.
"""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from redis import ConnectionPool, RedisError
from redis.connection import parse_url

Options = dict[str, Any]

FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
TLS_PARAMETERS = {*FILES, "ssl_cert_reqs", "ssl_check_hostname", "ssl_password"}
SENTINEL_PARAMETERS = {"sentinel_username", "sentinel_password"}
PLAIN_PARAMETERS = {"client_name", "db"}
SENTINEL_PORT = 26379
# A host, of IPv6 in brackets, and its port.
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:\[\]/?#@]+)(?::([0-9]{1,5}))?")
EXAMPLES = {
    "": ("a Redis server", "redis://host:6379/0"),
    "cluster": ("a Redis Cluster", "redis+cluster://host:6379,host:6379"),
    "sentinel": ("Redis' sentinels", "redis+sentinel://host:26379,host:26379/service"),
}


class WrongAddress(ValueError):
    """An address that cannot be used. Its arguments: what is wrong, and what to do."""


class Address(NamedTuple):
    """``form`` is blank, "cluster" or "sentinel"; ``seeds`` are how each server is connected to.

    ``service`` is the name by which sentinels know the primary, whose own options are
    ``primary``.
    """

    form: str
    seeds: tuple[Options, ...]
    service: str = ""
    primary: Options = {}


def parse(url: str) -> Address:
    """Return what ``url`` names, or raise ``WrongAddress``, which shows nothing of the URL."""
    scheme = url.partition("://")[0]
    plain, _, form = scheme.partition("+")
    if plain not in {"redis", "rediss", "unix"} or form not in EXAMPLES:
        raise _not_an_address("")
    try:
        parts = urlsplit(url)
        _check_parameters(parts, form, plain)
        address = _ADDRESSES[form](parts, plain)
        for options in (*address.seeds, address.primary):
            _check_options(options)
    except (TypeError, ValueError, RedisError) as error:
        if isinstance(error, WrongAddress):
            raise
        raise _not_an_address(form) from None
    return address


def _not_an_address(form: str) -> WrongAddress:
    what, example = EXAMPLES[form]
    return WrongAddress(
        f"is not the address of {what}",
        f"Write it as {example}, or leave it out for a counter file",
    )


def _check_parameters(parts: SplitResult, form: str, plain: str) -> None:
    taken = PLAIN_PARAMETERS - ({"db"} if form else set())
    taken |= TLS_PARAMETERS if plain == "rediss" else set()
    taken |= SENTINEL_PARAMETERS if form == "sentinel" else set()
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    if parts.fragment or any(name not in taken or not value for name, value in parameters):
        raise WrongAddress(
            "has a parameter that is not taken, as timeouts are not, or one without a value",
            f"Leave it out: after the ? may stand {', '.join(sorted(taken))}",
        )


def _check_options(options: Options) -> None:
    for name in FILES:
        if name in options and not os.access(options[name], os.R_OK):
            raise WrongAddress(
                f"names a file in {name} that cannot be read", "Correct its path or its permissions"
            )
    # The client refuses values that it does not know.
    ConnectionPool(**options).make_connection()


def _server(parts: SplitResult, plain: str) -> Address:
    if plain == "unix":
        if not parts.path:
            raise _not_an_address("")
        return Address("", (parse_url(f"unix://{parts.netloc}{parts.path}?{parts.query}"),))
    (options,) = _servers(parts, plain, _database(parts.path.removeprefix("/"), ""))
    return Address("", (options,))


def _cluster(parts: SplitResult, plain: str) -> Address:
    if parts.path not in {"", "/", "/0"}:
        raise WrongAddress("names a database, and a Redis Cluster has none", "Leave out its path")
    return Address("cluster", tuple(_servers(parts, plain, 0)))


def _sentinel(parts: SplitResult, plain: str) -> Address:
    service, _, database = parts.path.removeprefix("/").partition("/")
    if not service:
        raise _not_an_address("sentinel")
    seeds = []
    for options in _servers(parts, plain, _database(database, "sentinel")):
        primary = {
            name: value
            for name, value in options.items()
            if name not in {"host", "port", *SENTINEL_PARAMETERS}
        }
        credentials = {
            name.removeprefix("sentinel_"): options[name]
            for name in SENTINEL_PARAMETERS
            if name in options
        }
        left_out = {"db", "username", "password", *SENTINEL_PARAMETERS}
        seed = {name: value for name, value in options.items() if name not in left_out}
        seeds.append({"port": SENTINEL_PORT} | seed | credentials)
    return Address("sentinel", tuple(seeds), unquote(service), primary)


_ADDRESSES = {"": _server, "cluster": _cluster, "sentinel": _sentinel}


def _database(text: str, form: str) -> int:
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        raise _not_an_address(form)
    return int(text or 0)


def _servers(parts: SplitResult, plain: str, database: int) -> Iterator[Options]:
    """Give the client's options of each host; the client itself reads what is around them."""
    credentials, _, hosts = parts.netloc.rpartition("@")
    form = parts.scheme.partition("+")[2]
    texts = hosts.split(",") if form else [hosts]
    for text in texts:
        found = HOST.fullmatch(text)
        if found is None or (found[2] and not 0 < int(found[2]) < 65_536):
            raise _not_an_address(form)
        before = f"{credentials}@" if credentials else ""
        # The path is the client's for a database alone.
        names_database = any(name == "db" for name, _ in parse_qsl(parts.query))
        path = "" if names_database else f"/{database}"
        host = found[1] if found[1].startswith("[") else quote(found[1], safe="%")
        port = f":{found[2]}" if found[2] else ""
        yield parse_url(f"{plain}://{before}{host}{port}{path}?{parts.query}")
