"""Every client of Redis that the product uses is made here, whatever ``REDIS_URL`` names."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

from database.redis.address import Address, parse
from database.redis.cluster import Cluster
from database.redis.sentinel import Sentinel
from database.redis.server import Server


class Commands(Protocol):
    """What answers commands about one key, with each executed once at most."""

    def execute(self, key: str, *command: Any) -> Any:
        """Return the answer of the server that holds ``key``.

        Raise ``RedisError`` or ``OSError``, within two seconds, if it is not to be had.
        """

    def primaries(self) -> Sequence[Server]:
        """Return each server that holds keys; raise as ``execute`` does."""


class OneServer:
    """The only server there is."""

    def __init__(self, address: Address) -> None:
        self._server = Server(address.seeds[0])

    def execute(self, key: str, *command: Any) -> Any:
        return self._server.execute(*command)

    def primaries(self) -> Sequence[Server]:
        return (self._server,)


FORMS: dict[str, Callable[[Address], Commands]] = {
    "": OneServer,
    "cluster": Cluster,
    "sentinel": Sentinel,
}


@cache
def commands(url: str) -> Commands:
    """Return what this process shares."""
    address = parse(url)
    return FORMS[address.form](address)
