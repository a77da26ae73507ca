"""Redis Cluster: each key's slot is held by one primary, and slots move.

redis-py's own client of a cluster sends a command again after its connection failed, which may
count twice. Here one is sent again only where a server answered that another holds the slot,
MOVED or ASK: it executed nothing.
"""

import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    MovedError,
    NoScriptError,
    RedisError,
)

from database.redis.address import Address
from database.redis.server import Server

SLOTS = 16_384
# Another server is asked only within this time. With what that one may take it stays below two
# seconds, and slots that move on and on are not followed on and on.
FOLLOW_SECONDS = 0.4
# As long as nothing is known there is nothing else to ask.
FIRST_SECONDS = 1.0
MAX_REDIRECTIONS = 5
# How often the servers are asked for their slots, at most.
REFRESH_SECONDS = 0.25

Node = tuple[str, int]


class Cluster:
    """Knows which server holds a slot, from what the servers say of it."""

    def __init__(self, address: Address) -> None:
        self._options = address.seeds[0]
        self._servers: dict[Node, Server] = {}
        self._seeds = [
            (options["host"], options.get("port", Server.PORT)) for options in address.seeds
        ]
        # By slot; empty until a server has said.
        self._slots: list[Server | None] = []
        self._is_stale = False
        self._lock = threading.Lock()
        self._refreshed_at = -REFRESH_SECONDS
        self._turn = 0

    def execute(self, key: str, *command: Any) -> Any:
        """Send ``command`` to the server that holds ``key``, and on where that says so."""
        ends_at = monotonic() + FOLLOW_SECONDS
        slot = key_slot(key.encode())
        server, is_asking = self._holder(slot), False
        for _ in range(1 + MAX_REDIRECTIONS):
            try:
                return server.execute(*command, is_asking=is_asking)
            except AskError as redirection:
                # Without a host it is another port of the one that answered.
                server = self._at(redirection.host or server.host, redirection.port)
                is_asking = not isinstance(redirection, MovedError)
                if not is_asking:
                    self._slots[slot] = server
                    self._is_stale = True
            except NoScriptError:
                raise
            except (RedisError, OSError):
                self._is_stale = True
                raise
            if monotonic() > ends_at:
                break
        raise ClusterError("Redis Cluster moves the slot on and on")

    def primaries(self) -> Sequence[Server]:
        """Return what holds slots, by one answer: what moves meanwhile is not followed."""
        self._refresh()
        primaries = list(dict.fromkeys(server for server in self._slots if server))
        if not primaries:
            raise ClusterDownError("no server of Redis Cluster says what holds its slots")
        return primaries

    def _holder(self, slot: int) -> Server:
        if not self._slots:
            self._refresh()
        elif self._is_stale and self._is_refresh_due() and not self._lock.locked():
            # Aside: a server that answers nothing would hold up a request of another's slot.
            threading.Thread(target=self._refresh, name="redis-slots", daemon=True).start()
        server = self._slots[slot] if self._slots else None
        if server is None:
            self._is_stale = True
            raise ClusterDownError("no server of Redis Cluster holds the slot")
        return server

    def _at(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            made = Server(self._options | {"host": host, "port": port})
            # Of two threads that make one, both take the first.
            server = self._servers.setdefault((host, port), made)
        return server

    def _is_refresh_due(self) -> bool:
        return monotonic() >= self._refreshed_at + REFRESH_SECONDS

    def _refresh(self) -> None:
        """Ask for the slots, unless another thread has just asked."""
        with self._lock:
            if not self._is_refresh_due():
                return
            ends_at = monotonic() + (FOLLOW_SECONDS if self._slots else FIRST_SECONDS)
            try:
                for server in self._sources():
                    if self._has_read(server) or monotonic() > ends_at:
                        break
            finally:
                # Whoever has waited for this turn must not take another.
                self._refreshed_at = monotonic()

    def _sources(self) -> list[Server]:
        """Return all known servers, each time from another one on."""
        nodes = list(dict.fromkeys([*self._servers, *self._seeds]))
        self._turn = (self._turn + 1) % len(nodes)
        return [self._at(*node) for node in nodes[self._turn :] + nodes[: self._turn]]

    def _has_read(self, source: Server) -> bool:
        """Take what ``CLUSTER SLOTS`` answers: first and last slot, then primary and replicas."""
        try:
            rows = source.execute("CLUSTER", "SLOTS")
        except (RedisError, OSError):
            return False
        if not rows:
            # It left the cluster, or has just joined.
            return False
        self._is_stale = False
        slots: list[Server | None] = [None] * SLOTS
        nodes = set(self._seeds)
        for first, last, *servers in rows:
            named = [
                ((host or b"").decode() or source.host, port)
                for host, port, *_ in servers
                if host != b"?"
            ]
            nodes.update(named)
            if named:
                slots[first : last + 1] = [self._at(*named[0])] * (last + 1 - first)
        self._slots = slots
        # What left the cluster is let go of, with its connections.
        for node in set(self._servers) - nodes:
            self._servers.pop(node, None)
        return True
