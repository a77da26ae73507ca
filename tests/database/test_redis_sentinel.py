"""What sentinels watch over: who is asked, and who is not."""

import socket
from contextlib import ExitStack, suppress

import pytest
from redis.exceptions import ReadOnlyError

from apikeys.limiter.redis import RedisCounters
from apikeys.limiter.store import CountersUnavailable, Window
from database.redis.address import parse
from database.redis.sentinel import Primary, Sentinel
from tests.support.redis_servers import RedisSentinel
from tests.support.servers import wait_until

LIMITS = (Window("hour", 1_000, 3600),)


def test_the_primary_is_the_one_that_the_sentinels_name(redis_sentinel: RedisSentinel) -> None:
    (server,) = Sentinel(parse(redis_sentinel.url)).primaries()

    assert server.port == redis_sentinel.primary().port
    assert RedisCounters(redis_sentinel.url).hit("anybody", LIMITS).is_admitted


def test_one_sentinel_that_answers_is_enough(redis_sentinel: RedisSentinel) -> None:
    port = redis_sentinel.sentinels[0].port
    store = RedisCounters(f"redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:{port}/latchkey")

    assert store.hit("anybody", LIMITS).is_admitted


def test_sentinels_that_answer_nothing_hide_no_other(redis_sentinel: RedisSentinel) -> None:
    port = redis_sentinel.sentinels[0].port
    with ExitStack() as stack:
        # The kernel accepts connections to each; nobody reads from them.
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        hosts = ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in silent)
        store = RedisCounters(f"redis+sentinel://{hosts},127.0.0.1:{port}/latchkey")

        def is_counted() -> bool:
            try:
                return store.hit("anybody", LIMITS).is_admitted
            except CountersUnavailable:
                return False

        wait_until(is_counted, 10)


def test_sentinels_that_do_not_know_the_service_refuse(redis_sentinel: RedisSentinel) -> None:
    store = RedisCounters(redis_sentinel.url.replace("/latchkey", "/another"))

    with pytest.raises(CountersUnavailable, match="no sentinel names a primary"):
        store.hit("anybody", LIMITS)


def test_a_replica_is_asked_nothing_even_where_it_is_named(redis_sentinel: RedisSentinel) -> None:
    primary = redis_sentinel.primary()
    (replica,) = [server for server in redis_sentinel.servers if server is not primary]

    with pytest.raises(ReadOnlyError, match="is a replica"):
        Primary({"host": "127.0.0.1", "port": replica.port}).execute("GET", "anything")


def test_a_failover_by_hand_is_followed(redis_sentinel: RedisSentinel) -> None:
    store = RedisCounters(redis_sentinel.url)
    before = redis_sentinel.primary()
    store.hit("by hand", LIMITS)
    redis_sentinel.sentinels[0].ask("SENTINEL", "FAILOVER", "latchkey")
    wait_until(lambda: redis_sentinel.primary() is not before)

    remaining = []

    def is_counted() -> bool:
        with suppress(CountersUnavailable):
            remaining.append(store.hit("by hand", LIMITS).remaining[0])
            return True
        return False

    # Until it is told otherwise, the old primary takes what the new one will not know.
    wait_until(redis_sentinel.is_whole)
    wait_until(is_counted)
    assert remaining == [998]
