"""Redis Cluster while its slots move: nothing is counted twice, and nothing is lost."""

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis.crc import key_slot
from redis.exceptions import ResponseError

from apikeys.limiter.redis import PREFIX, RedisCounters
from apikeys.limiter.store import CountersUnavailable, Window
from database.redis.address import parse
from database.redis.cluster import Cluster
from tests.support.redis_servers import RedisCluster
from tests.support.servers import Redis, wait_until

LIMITS = (Window("hour", 1_000, 3600),)


class Moving:
    """A subject, its slot, the server that holds it, and another."""

    def __init__(self, cluster: RedisCluster) -> None:
        self.cluster = cluster
        self.subject = uuid4().hex
        self.key = PREFIX + self.subject
        self.slot = key_slot(self.key.encode())
        self.source = cluster.holder(self.key)
        primaries = {cluster.holder(str(number)).port for number in range(50)}
        other = min(primaries - {self.source.port})
        self.target = next(server for server in cluster.servers if server.port == other)
        self.ids = {
            server.port: server.ask("CLUSTER", "MYID") for server in (self.source, self.target)
        }
        self.store = RedisCounters(cluster.url)

    def name(self, holder: Redis, *servers: Redis) -> None:
        """Tell servers who holds the slot."""
        for server in servers:
            server.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self.ids[holder.port])

    def begin(self) -> None:
        """Begin to move the slot."""
        source, target = self.ids[self.source.port], self.ids[self.target.port]
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target)

    def carry(self) -> None:
        """Move the subject's counter."""
        self.source.ask("MIGRATE", "127.0.0.1", self.target.port, self.key, 0, 10_000)

    def forget(self) -> None:
        """Delete the counter, wherever it is: a server that has it keeps its slot."""
        for server in (self.source, self.target):
            with contextlib.suppress(ResponseError):
                server.ask("DEL", self.key)

    def disagree(self) -> None:
        """Let each of two servers say that the other holds the slot."""
        self.forget()
        self.name(self.target, self.source)

    def hits(self, number: int) -> int:
        """Return what remains after some hits."""
        for _ in range(number):
            remaining = self.store.hit(self.subject, LIMITS).remaining[0]
        return remaining


@pytest.fixture
def moving(redis_cluster: RedisCluster) -> Iterator[Moving]:
    """A slot that may be moved."""
    moving = Moving(redis_cluster)
    yield moving
    moving.forget()
    moving.name(moving.source, moving.source, moving.target)
    wait_until(lambda: redis_cluster.holder(moving.key) is moving.source)
    wait_until(redis_cluster.is_whole)


def test_a_counter_counts_on_while_its_slot_moves(moving: Moving) -> None:
    remaining = [moving.hits(5)]
    moving.begin()
    remaining.append(moving.hits(5))
    moving.carry()
    remaining.append(moving.hits(5))
    moving.name(moving.target, moving.target, moving.source)
    remaining.append(moving.hits(5))

    assert remaining == [995, 990, 985, 980]


def test_a_counter_that_begins_while_its_slot_moves_is_on_the_new_server(moving: Moving) -> None:
    # The map is known, and shows the old server.
    moving.store.ping()
    moving.begin()

    remaining = moving.hits(5)

    assert remaining == 995
    moving.name(moving.target, moving.target, moving.source)
    assert moving.hits(5) == 990


def test_a_slot_that_moves_on_and_on_is_followed_to_an_end(moving: Moving) -> None:
    moving.disagree()

    with pytest.raises(CountersUnavailable, match="moves the slot on and on"):
        moving.hits(1)


def test_other_slots_are_served_while_one_moves_on_and_on(moving: Moving) -> None:
    moving.disagree()
    with pytest.raises(CountersUnavailable):
        moving.hits(1)

    admitted = [moving.store.hit(f"other{n}", LIMITS).is_admitted for n in range(20)]

    assert all(admitted)


def test_a_walk_over_the_primaries_meets_each_once(moving: Moving) -> None:
    cluster = Cluster(parse(moving.cluster.url))
    moving.disagree()

    ports = [server.port for server in cluster.primaries()]

    assert len(ports) == len(set(ports)) == 3


def test_one_seed_that_answers_is_enough(redis_cluster: RedisCluster) -> None:
    port = redis_cluster.servers[0].port
    store = RedisCounters(f"redis+cluster://127.0.0.1:1,127.0.0.1:2,127.0.0.1:{port}")

    def counts() -> bool:
        try:
            return store.hit(uuid4().hex, LIMITS).is_admitted
        except CountersUnavailable:
            return False

    wait_until(counts)
    assert all(counts() for _ in range(20))


def test_a_cluster_of_which_nobody_answers_refuses() -> None:
    store = RedisCounters("redis+cluster://127.0.0.1:1,127.0.0.1:2")

    for _ in range(3):
        with pytest.raises(CountersUnavailable):
            store.hit("anybody", LIMITS)


def test_a_server_that_is_no_cluster_refuses(redis: Redis) -> None:
    store = RedisCounters(redis.url.replace("redis://", "redis+cluster://"))

    with pytest.raises(CountersUnavailable):
        store.hit("anybody", LIMITS)
