"""Django's cache in each form of Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import BaseCache, CacheHandler

from config.databases import cache as settings_of


@pytest.fixture(params=["redis", "redis_cluster", "redis_sentinel"])
def cache(request: pytest.FixtureRequest) -> Iterator[BaseCache]:
    """The cache that ``REDIS_URL`` makes."""
    url = request.getfixturevalue(request.param).url
    settings = settings_of(url, Path()) | {"KEY_PREFIX": uuid4().hex}
    made = CacheHandler({"default": settings})["default"]
    yield made
    made.close()


def test_a_value_is_kept_until_it_is_deleted(cache: BaseCache) -> None:
    cache.set("page", {"rows": [1, 2]})
    kept = cache.get("page"), "page" in cache
    deleted = cache.delete("page"), cache.delete("page")

    assert kept == ({"rows": [1, 2]}, True)
    assert deleted == (True, False)
    assert cache.get("page", "nothing") == "nothing"


def test_a_value_is_added_once(cache: BaseCache) -> None:
    assert [cache.add("login", number) for number in (1, 2)] == [True, False]
    assert cache.get("login") == 1


def test_a_number_counts_in_place_and_only_if_it_is_there(cache: BaseCache) -> None:
    cache.add("login", 1, 60)

    assert [cache.incr("login"), cache.incr("login", 5)] == [2, 7]
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nobody")


def test_a_value_expires_and_is_touched(cache: BaseCache) -> None:
    cache.set("page", 1, 60)

    assert [cache.touch("page", 30), cache.touch("page", None), cache.touch("none")] == [
        True,
        True,
        False,
    ]
    cache.set("page", 1, 0)
    assert cache.get("page") is None


def test_many_are_kept_and_deleted_at_once(cache: BaseCache) -> None:
    values: dict[str, Any] = {str(number): number for number in range(20)}
    cache.set_many(values, 60)
    kept = cache.get_many([*values, "none"])
    cache.delete_many(list(values)[:10])

    assert kept == values
    assert cache.get_many(values) == {str(number): number for number in range(10, 20)}


def test_clearing_leaves_nothing_on_any_server(cache: BaseCache) -> None:
    cache.set_many({str(number): number for number in range(20)})

    cache.clear()

    assert cache.get_many([str(number) for number in range(20)]) == {}
