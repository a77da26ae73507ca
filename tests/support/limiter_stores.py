"""Every store of the limiter on a clock that a test sets.

The counter file reads the clock of its module; Redis' script has its one call for the time
replaced by two arguments that are sent with each request. Nothing else differs from production.
"""

import hashlib
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from apikeys.limiter import sqlite
from apikeys.limiter.redis import RedisCounters
from apikeys.limiter.sqlite import CounterFile
from apikeys.limiter.store import MICROSECONDS, Store
from database.redis.clients import Commands
from tests.support.redis_servers import RedisCluster
from tests.support.servers import Redis

START = 1_790_000_000_000_000


class Clocked:
    """A store, and the time it believes it is, in microseconds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.subject = uuid4().hex
        self.now = START
        self.set(START)

    def set(self, now: int) -> None:
        """Let it be ``now``."""
        self.now = now

    def advance(self, microseconds: int) -> None:
        """Let time pass."""
        self.set(self.now + microseconds)


class ClockedRedis(Clocked):
    """Redis, told the time with each request."""

    def __init__(self, store: RedisCounters) -> None:
        script = store._script
        for text, other in (
            ("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}"),
            ("(#ARGV - 5) / 2", "(#ARGV - 7) / 2"),
        ):
            assert text in script
            script = script.replace(text, other)
        store._script = script
        store._digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._commands = store._commands
        store._commands = cast(Commands, self)
        super().__init__(store)

    def execute(self, key: str, *command: Any) -> Any:
        """Send the store's command, and the time."""
        return self._commands.execute(key, *command, *divmod(self.now, MICROSECONDS))


@pytest.fixture
def file_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clocked:
    """A counter file."""
    clocked = Clocked(CounterFile(tmp_path / "counters.sqlite3"))
    monkeypatch.setattr(sqlite, "time_ns", lambda: clocked.now * 1000)
    monkeypatch.setattr(sqlite, "time", lambda: clocked.now / 1_000_000)
    return clocked


@pytest.fixture
def redis_store(redis: Redis) -> Clocked:
    """One Redis."""
    return ClockedRedis(RedisCounters(redis.url))


@pytest.fixture
def cluster_store(redis_cluster: RedisCluster) -> Clocked:
    """Redis Cluster."""
    return ClockedRedis(RedisCounters(redis_cluster.url))


@pytest.fixture(params=["file_store", "redis_store", "cluster_store"])
def clocked(request: pytest.FixtureRequest) -> Clocked:
    """Each store in turn."""
    store: Clocked = request.getfixturevalue(request.param)
    return store
