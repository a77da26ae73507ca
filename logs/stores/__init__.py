"""Where the request log is stored: one interface, and a module for each store.

Rows are read as ``RequestLog`` whatever the store. What differs is here: how the worker adds and
deletes rows, how far a list is looked through, and how rows are read with what belongs to them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Protocol

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from logs.capture.record import Record
from logs.models import RequestLog
from logs.shipping.spool_reader import Batch, Start
from logs.walks import Walk

Rows = QuerySet[RequestLog]


class SetAside(Protocol):
    """Keeps a record that cannot be stored, and says why."""

    def __call__(self, text: bytes, reason: str) -> None: ...


class LogStore(ABC):
    """A store of the request log."""

    # How long the worker gathers records before it stores them.
    ship_seconds: float
    # Whether rows that are too old are deleted by the store, and not by ``logs.retention``.
    deletes_by_itself = False

    @property
    @abstractmethod
    def batch_bytes(self) -> int:
        """How much of a spool file a batch may hold."""

    def prepare(self) -> None:
        """Have it ready for rows; called before the first batch, and after each failure."""
        return

    @abstractmethod
    def start(self, file: str) -> Start:
        """Return how many bytes of a spool file are stored, and how far it is being stored."""

    @abstractmethod
    def add(self, batch: Batch, records: Sequence[Record], set_aside: SetAside) -> int:
        """Store a batch once, with all that follows from it; return how many records.

        What the store refuses is set aside. Raises what says that it cannot be reached, and the
        same batch is then added again.
        """

    @abstractmethod
    def walk(self, rows: Rows, *, is_ascending: bool = False) -> Walk:
        """Return the rows of a list in the order of their ids, so that few others are looked at."""

    @abstractmethod
    def related(self, rows: Rows, name: str) -> Rows:
        """Have what belongs to the rows read with them: ``key`` or ``content``."""

    @abstractmethod
    def service_names(self, limit: int) -> list[str]:
        """Return the services for which there are decisions in the log, by name."""

    def prune(self, timestamp: datetime) -> Iterator[int]:
        """Delete the requests before ``timestamp``; yield how many after each part."""
        raise NotImplementedError


@cache
def log_store() -> LogStore:
    """Return the store of this installation."""
    name = "clickhouse.ClickHouseStore" if settings.LOG_STORE_URL else "database.DatabaseStore"
    store: LogStore = import_string(f"logs.stores.{name}")()
    return store
