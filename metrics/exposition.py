"""All metrics of this host as text, in Prometheus' format 0.0.4."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from time import monotonic

from database.outages import is_outage
from database.periodic_tasks import declared
from metrics import tallies
from metrics.families import NANOSECONDS, Counter, Family, Histogram, Readings, Sample
from metrics.tallies import DROPPED, SUM, Key

logger = logging.getLogger(__name__)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

READABLE = Family(
    "latchkey_readings_up",
    "1 if these numbers could be read at this scrape; else they are left out.",
    ("readings",),
)
NOT_COUNTED = Counter(
    "latchkey_metrics_dropped_total",
    "Events that were not counted, because there are too many combinations of labels.",
)

# Each process has its own: when it read them, and what.
_kept: dict[str, tuple[float, list[Sample]]] = {}


@cache
def offered() -> tuple[Family | Readings, ...]:
    """Return what the apps offer."""
    return tuple(one for offers in declared("metrics") for one in offers)


def families() -> list[Family]:
    """Return every family that a scrape may show, in its order."""
    found: list[Family] = [READABLE, NOT_COUNTED]
    for offer in offered():
        found += offer.families if isinstance(offer, Readings) else (offer,)
    return found


def text() -> str:
    """Return the answer to a scrape; it never fails for what is down."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    for offer in offered():
        if isinstance(offer, Readings):
            read = _read(offer)
            samples[READABLE.name].append(Sample(READABLE, (offer.name,), float(read is not None)))
            for sample in read or ():
                samples[sample.family.name].append(sample)
    counted = tallies.read()
    counted[NOT_COUNTED.name,] = counted.pop(DROPPED, [0])
    lines = (
        line
        for family in families()
        for line in _lines(family, _counted(family, counted) or samples[family.name])
    )
    return "".join(f"{line}\n" for line in lines)


def _read(readings: Readings) -> list[Sample] | None:
    """Return the samples, or None if they cannot be read now."""
    now = monotonic()
    read_at, samples = _kept.get(readings.name, (0.0, []))
    if samples and now - read_at < readings.kept_seconds:
        return samples
    try:
        samples = list(readings.read())
    except Exception as error:
        if is_outage(error):
            logger.warning("metrics of %s: %s", readings.name, " ".join(str(error).split()))
        else:
            logger.exception("metrics of %s", readings.name)
        return None
    _kept[readings.name] = (now, samples)
    return samples


def _counted(family: Family, counted: dict[Key, list[int]]) -> list[Sample]:
    """Return the samples of a family that processes count; of a histogram its series."""
    if not isinstance(family, Counter | Histogram):
        return []
    rows = {key[1:]: numbers for key, numbers in counted.items() if key[0] == family.name}
    if not rows and not family.labels:
        rows = {(): [0] * (SUM + 1)}
    if isinstance(family, Counter):
        return [Sample(family, labels, rows[labels][0]) for labels in sorted(rows)]
    return [
        sample for labels in sorted(rows) for sample in _histogram(family, labels, rows[labels])
    ]


def _histogram(family: Histogram, labels: tuple[str, ...], row: list[int]) -> Iterator[Sample]:
    bucket = Family(f"{family.name}_bucket", "", (*family.labels, "le"))
    total = 0
    for bound, number in zip((*map(str, family.bounds), "+Inf"), row, strict=False):
        total += number
        yield Sample(bucket, (*labels, bound), total)
    seconds = row[SUM] / NANOSECONDS
    yield Sample(Family(f"{family.name}_sum", "", family.labels), labels, seconds)
    yield Sample(Family(f"{family.name}_count", "", family.labels), labels, total)


def _lines(family: Family, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.meaning)}"
    yield f"# TYPE {family.name} {family.kind}"
    for shown, labels, number in samples:
        pairs = zip(shown.labels, labels, strict=True)
        named = ",".join(f'{name}="{_quoted(value)}"' for name, value in pairs)
        yield f"{shown.name}{f'{{{named}}}' if named else ''} {_number(number)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(float(number))
