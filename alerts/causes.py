"""Looks for what people are told of, and raises an alert for each key and cause once a window.

A cause is read from what shipping adds up: hourly usage, and the networks of keys. So a round
costs the same however many requests there are, and one that was cut short loses nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.db.models import F, Max, Min, QuerySet, Sum

from alerts.models import MAX_SUBJECT_LENGTH, MAX_TEXT_LENGTH, Alert, Kind
from apikeys.models import ApiKey
from logs.models import HourlyUsage, KeyNetwork

# Days before its expiry at which a key is announced.
DAYS = (1, 7, 14, 30)
USAGE_FOR = timedelta(hours=1)
# A key that is new is sent from wherever it is being installed: nothing of that is unusual yet.
LEARNING = timedelta(days=1)
MAX_NETWORKS = 5
# Keys and causes that are held and asked for at a time.
AT_ONCE = 500

T = TypeVar("T")


class Cause(NamedTuple):
    """A reason for an alert; ``window`` is blank for one that repeats after a while."""

    key: ApiKey
    kind: Kind
    subject: str
    text: str
    window: str = ""


def raise_alerts(now: datetime) -> int:
    """Raise what is not raised yet; return how many alerts that are."""
    found = [_expiries(now)]
    if settings.ALERT_RECIPIENTS:
        found += [_shares(now), _new_networks(now), _revoked(now)]
    return sum(_raise(causes, now) for causes in _parts(chain(*found)))


def _raise(causes: Sequence[Cause], now: datetime) -> int:
    raised = _raised({cause.key.pk for cause in causes}, now)
    alerts = [
        Alert(
            key=cause.key,
            kind=cause.kind,
            window=cause.window or _window(now),
            subject=cause.subject[:MAX_SUBJECT_LENGTH],
            text=cause.text[:MAX_TEXT_LENGTH],
        )
        for cause in causes
        if (cause.key.pk, cause.kind, cause.window) not in raised
    ]
    # Of two workers one raises it: the constraint decides.
    Alert.objects.bulk_create(alerts, ignore_conflicts=True)
    return len(alerts)


def _parts(things: Iterable[T]) -> Iterator[list[T]]:
    """Yield so many at a time as a query takes well."""
    rest = iter(things)
    while part := list(islice(rest, AT_ONCE)):
        yield part


def _raised(key_ids: Iterable[str], now: datetime) -> set[tuple[str, str, str]]:
    """Return key, kind and window of the alerts there are; those that repeat have none."""
    alerts = Alert.objects.filter(key__in=key_ids)
    recent = alerts.exclude(kind=Kind.EXPIRY).filter(created_at__gt=now - _repeat())
    return {(key_id, kind, "") for key_id, kind in recent.values_list("key_id", "kind")} | set(
        alerts.filter(kind=Kind.EXPIRY).values_list("key_id", "kind", "window")
    )


def _repeat() -> timedelta:
    return timedelta(hours=settings.ALERT_REPEAT_HOURS)


def _window(now: datetime) -> str:
    start = int(now.timestamp() // _repeat().total_seconds() * _repeat().total_seconds())
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%MZ}"


def expiry_window(days: int, expires_at: datetime) -> str:
    return f"{days} days before {expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _expiries(now: datetime) -> Iterator[Cause]:
    expiring = ApiKey.objects.expiring_before(now + timedelta(days=max(DAYS)))
    # Not the rows: whatever number they are, so many are held at a time as one query returns.
    ids = list(expiring.order_by("expires_at").values_list("pk", flat=True))
    for key in (key for part in _parts(ids) for key in expiring.filter(pk__in=part)):
        assert key.expires_at is not None
        remaining = key.expires_at - now
        # The nearest only: a key created a week before its expiry is announced once, not thrice.
        days = next(days for days in DAYS if remaining <= timedelta(days=days))
        yield Cause(
            key,
            Kind.EXPIRY,
            f"API key {key.name} expires within {days} day{'s' if days > 1 else ''}",
            f"The API key {key} expires at {key.expires_at:%Y-%m-%d %H:%M} UTC and is refused from"
            " then on. Give it a later expiry, or tell whoever uses it.",
            expiry_window(days, key.expires_at),
        )


def _shares(now: datetime) -> Iterator[Cause]:
    """Find keys of whose requests too many failed or were limited, in this hour and the last."""
    since = (now - USAGE_FOR).replace(minute=0, second=0, microsecond=0)
    sums: Any = (
        HourlyUsage.objects.filter(hour__gte=since)
        .exclude(key_id="")
        .order_by()
        .values("key_id")
        .annotate(total=Sum("requests"), bad=Sum("failed"), held=Sum("limited"))
        .filter(total__gte=settings.ALERT_MIN_REQUESTS)
    )
    for column, kind, percent, subject, advice in (
        (
            "bad", Kind.ERRORS, settings.ALERT_ERROR_PERCENT, "fail",
            "Find the errors in its requests, and repair what they call.",
        ),
        (
            "held", Kind.LIMITED, settings.ALERT_LIMITED_PERCENT, "are limited",
            "Raise its limits, or have its integration send less.",
        ),
    ):  # fmt: skip
        if not percent:
            continue
        # Multiplied: databases differ in how they divide whole numbers.
        excess = F(column) * 100 - F("total") * percent
        found = list(sums.alias(excess=excess).filter(**{f"{column}__gt": 0, "excess__gte": 0}))
        for key, row in _with_keys(found):
            if row[column]:
                share = f"{row[column]:,} of {row['total']:,} requests"
                yield Cause(
                    key,
                    kind,
                    f"Requests of API key {key.name} {subject}",
                    f"{share} with the API key {key} {subject} since {since:%H:%M} UTC,"
                    f" {row[column] / row['total']:.0%} of them. {advice}",
                )


def _with_keys(rows: Iterable[Any]) -> Iterator[tuple[ApiKey, Any]]:
    """Yield the rows of usage with their keys, but for those of what is no key."""
    for part in _parts(rows):
        keys = ApiKey.objects.in_bulk([row["key_id"] for row in part])
        yield from ((keys[row["key_id"]], row) for row in part if row["key_id"] in keys)


def _new_networks(now: datetime) -> Iterator[Cause]:
    recent = KeyNetwork.objects.filter(first_used_at__gt=now - _repeat())
    for keys in _untold(recent, Kind.NETWORK, now):
        of_keys = KeyNetwork.objects.filter(key__in=keys).order_by().values_list("key_id")
        # A network of the first day is learned, and so is every one of a key in that day.
        span = {
            key_id: (first + LEARNING, newest)
            for key_id, first, newest in of_keys.annotate(
                Min("first_used_at"), Max("first_used_at")
            )
        }
        for key in keys:
            learned, newest = span[key.pk]
            if newest > learned:
                networks = recent.filter(key=key, first_used_at__gt=learned)
                yield Cause(
                    key,
                    Kind.NETWORK,
                    f"API key {key.name} is used from a new network",
                    f"The API key {key} was used for the first time from"
                    f" {_some(networks, 'first_used_at')}."
                    " If its integration did not move, regenerate the key.",
                )


def _revoked(now: datetime) -> Iterator[Cause]:
    found = KeyNetwork.objects.filter(
        refused_at__gt=now - _repeat(), refused_at__gte=F("key__revoked_at")
    )
    for key in chain.from_iterable(_untold(found, Kind.REVOKED, now)):
        yield Cause(
            key,
            Kind.REVOKED,
            f"Revoked API key {key.name} is still tried",
            f"The API key {key} is revoked, and requests with it came from"
            f" {_some(found.filter(key=key), 'refused_at')}."
            " Find who still has it: all of these requests were refused.",
        )


def _untold(networks: QuerySet[KeyNetwork], kind: Kind, now: datetime) -> Iterator[list[ApiKey]]:
    """Yield the keys of networks, of which no alert of the kind was raised lately."""
    ids = list(networks.order_by("key_id").values_list("key_id", flat=True).distinct())
    for part in _parts(ids):
        told = Alert.objects.filter(key__in=part, kind=kind, created_at__gt=now - _repeat())
        untold = set(part) - set(told.values_list("key_id", flat=True))
        yield list(ApiKey.objects.filter(pk__in=untold).order_by("pk"))


def _some(networks: QuerySet[KeyNetwork], column: str) -> str:
    """Return a few of the networks, the newest last, and how many more there are."""
    newest = networks.order_by(f"-{column}").values_list("network", flat=True)[:MAX_NETWORKS]
    listed = ", ".join(reversed(newest))
    more = networks.count() - MAX_NETWORKS
    return f"{listed} and {more} more" if more > 0 else listed
