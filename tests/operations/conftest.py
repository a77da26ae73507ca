"""Installations that nobody serves: places to back up and to restore into."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.support.product import Latchkey, copy_prepared_folder

Place = Callable[..., Latchkey]
FILE = "latchkey.sqlite3"


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Return an installation of a kind of database; empty, only migrated, or with demo data."""
    with ExitStack() as stack:

        @cache
        def migrated() -> Path:
            product = Latchkey()
            stack.callback(product.remove)
            assert product.manage("migrate").returncode == 0
            product.stop_commands()
            return product.folder / FILE

        def make(
            kind: str,
            *,
            is_filled: bool = False,
            is_migrated: bool = False,
            like: Latchkey | None = None,
        ) -> Latchkey:
            database = ""
            if kind == "postgres":
                database = request.getfixturevalue("postgres").new_database()
            product = Latchkey(database=database)
            stack.callback(product.remove)
            if like is not None:
                # What stands outside the database, and is not in a backup.
                for name in ("peppers", "secret_key"):
                    shutil.copy(like.folder / name, product.folder)
            if is_migrated:
                shutil.copy(migrated(), product.folder / FILE)
            if is_filled and database:
                product.prepare()
            elif is_filled:
                copy_prepared_folder(product.folder)
            return product

        yield make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a backup goes."""
    return tmp_path / "backup"
