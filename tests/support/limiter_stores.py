"""Both stores of the limiter on a clock that a test sets.

The counter file reads the clock of its module; Redis' script has its one call for the time
replaced by one for a key that the test writes. Nothing else differs from production.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis as RedisClient

from apikeys.limiter import sqlite
from apikeys.limiter.redis import RedisCounters
from apikeys.limiter.sqlite import CounterFile
from apikeys.limiter.store import Store
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
    """Redis, with its time in a key."""

    def __init__(self, store: RedisCounters, client: RedisClient) -> None:
        self._client = client
        store._script = store._script.replace(
            "redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, -1)"
        )
        assert "clock" in store._script
        store._digest = client.script_load(store._script)
        super().__init__(store)

    def set(self, now: int) -> None:
        """Write the time where the script reads it."""
        super().set(now)
        pipeline = self._client.pipeline()
        pipeline.delete("clock").rpush("clock", now // 1_000_000, now % 1_000_000)
        pipeline.execute()


@pytest.fixture
def file_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clocked:
    """A counter file."""
    clocked = Clocked(CounterFile(tmp_path / "counters.sqlite3"))
    monkeypatch.setattr(sqlite, "time_ns", lambda: clocked.now * 1000)
    monkeypatch.setattr(sqlite, "time", lambda: clocked.now / 1_000_000)
    return clocked


@pytest.fixture
def redis_store(redis: Redis) -> Iterator[Clocked]:
    """Redis."""
    client = RedisClient.from_url(redis.url)
    client.flushdb()
    yield ClockedRedis(RedisCounters(redis.url), client)
    client.close()


@pytest.fixture(params=["file_store", "redis_store"])
def clocked(request: pytest.FixtureRequest) -> Clocked:
    """Each store in turn."""
    store: Clocked = request.getfixturevalue(request.param)
    return store
