"""What a metric is: its name, what it means, and where its numbers come from.

An app's config names in ``metrics`` the dotted paths of what it offers: families that are counted
where something happens, and ``Readings``, which are asked at a scrape. A label never holds a key
id, a customer or a path, of which there is no end.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from metrics.tallies import TALLIES

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Family:
    """A metric of Prometheus, with a number for each combination of its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    kind = "gauge"


@dataclass(frozen=True)
class Counter(Family):
    """Counts what happens, in any process of this host."""

    kind = "counter"

    def add(self, *labels: str, amount: int = 1) -> None:
        TALLIES.add((self.name, *labels), amount)


@dataclass(frozen=True)
class Histogram(Family):
    """How long something takes, in seconds."""

    # Upper bounds of the buckets; the last bucket has none.
    bounds: tuple[float, ...] = ()

    kind = "histogram"

    @property
    def limits(self) -> tuple[int, ...]:
        """The bounds in nanoseconds."""
        return tuple(round(bound * NANOSECONDS) for bound in self.bounds)


class Sample(NamedTuple):
    """A number of a family."""

    family: Family
    labels: tuple[str, ...]
    number: float


@dataclass(frozen=True)
class Readings:
    """Gauges that are read together at a scrape.

    With ``kept_seconds`` each process reads them again no sooner than that. What cannot be read,
    such as the rows of a database that is down, is left out of the answer.
    """

    name: str
    families: tuple[Family, ...]
    read: Callable[[], Iterable[Sample]]
    kept_seconds: float = 0.0
