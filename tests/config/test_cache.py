"""The cache without a server."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.cache import FileCache


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    """A cache in a file of its own."""
    return FileCache(str(tmp_path / "cache.sqlite3"), {})


def test_values_are_kept_and_forgotten(cache: FileCache) -> None:
    cache.set("a", {"x": [1, None]}, 60)
    cache.set("b", 1, 0.01)
    time.sleep(0.02)

    assert cache.get("a") == {"x": [1, None]}
    assert cache.get("b", "gone") == "gone"
    assert cache.delete("a")
    assert cache.get("a") is None


def test_adding_keeps_what_is_there(cache: FileCache) -> None:
    assert cache.add("n", 1)
    assert not cache.add("n", 5)
    assert cache.get("n") == 1


def test_an_expired_number_counts_from_nothing(cache: FileCache) -> None:
    cache.add("n", 1, 0.01)
    time.sleep(0.02)

    assert cache.add("n", 1)
    with pytest.raises(ValueError, match="no number"):
        cache.incr("absent")


def test_counting_is_atomic_across_connections(
    cache: FileCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite's waiting is not fair: on a busy machine one of eight may wait for seconds.
    monkeypatch.setattr("config.cache.BUSY_SECONDS", 60.0)
    start = threading.Barrier(8)

    def count(_: int) -> None:
        own = FileCache(str(tmp_path / "cache.sqlite3"), {})
        start.wait()
        for _ in range(25):
            if not own.add("n", 1, 60):
                own.incr("n")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))

    assert cache.get("n") == 200


def test_a_damaged_file_is_made_anew(cache: FileCache, tmp_path: Path) -> None:
    cache.set("a", 1)
    (tmp_path / "cache.sqlite3").write_bytes(b"no database" * 1000)

    assert cache.get("a") is None
    cache.set("a", 2)
    assert cache.get("a") == 2
