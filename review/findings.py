"""What to review of a key: each finding has its rule, its words and its remedies here.

A rule narrows keys to those that it finds, most urgent first; it counts a queue, fills its page,
and says of one key whether it is found. A rule looks at active keys alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import (
    Case,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
)  # fmt: skip
from django.db.models.functions import Coalesce, Concat, Length, Replace, StrIndex
from django.utils.timesince import timesince, timeuntil

from apikeys.catalogue import labels
from apikeys.environments import Environment
from apikeys.models import ApiKey
from apikeys.models.keys import ApiKeyQuerySet
from backoffice.columns import percent
from logs.models import PermissionUse
from logs.refusals import REFUSED, WITHIN, most_frequent_code, recent_usage, refusals
from logs.unused_permissions import UNUSED_FOR, unused_permissions
from review.models import Dismissal, DismissalQuerySet

IDLE_FOR = timedelta(days=90)
EXPIRING_WITHIN = timedelta(days=30)
MIN_REFUSALS = 20
# At least one request in so many was refused.
REFUSED_OF = 10
# A database takes so many ids in a query.
AT_ONCE = 500

Rule = Callable[[ApiKeyQuerySet, datetime], ApiKeyQuerySet]
Words = Callable[[Sequence[ApiKey], datetime], dict[str, str]]


class Remedy(NamedTuple):
    """A change that helps, as the propose page takes it."""

    label: str
    parameter: str
    value: str = ""


@dataclass(frozen=True)
class Finding:
    """A reason to review a key. ``tell`` says by key id what was found, in a sentence."""

    name: str
    label: str
    advice: str
    rule: Rule
    tell: Words
    remedies: tuple[Remedy, ...]
    # Narrows dismissals to those of keys of which the finding says what it said then.
    unchanged: Callable[[DismissalQuerySet], DismissalQuerySet] = lambda dismissals: dismissals

    def keys(self, now: datetime) -> ApiKeyQuerySet:
        rows = self.rule(ApiKey.objects.active(), now)
        dismissals = Dismissal.objects.until_after(self.name, now)
        # Asked first, or each key that is found would be looked up among none.
        return rows.filter(~self._dismissed(now)) if dismissals.exists() else rows

    def dismissed_keys(self, now: datetime) -> ApiKeyQuerySet:
        """Return the keys of which the finding was dismissed, and would be shown otherwise."""
        return self.rule(ApiKey.objects.active(), now).filter(self._dismissed(now))

    def _dismissed(self, now: datetime) -> Exists:
        dismissals = Dismissal.objects.until_after(self.name, now).of_unchanged_key()
        return Exists(self.unchanged(dismissals))


REVOKE = Remedy("Revoke", "revoke", "1")
REMOVE_UNUSED = Remedy("Remove unused permissions", "remove_unused", "1")
IN_90_DAYS = Remedy("Expire in 90 days", "expires", "90d")
IN_A_YEAR = Remedy("Expire in a year", "expires", "365d")
TO_A_NETWORK = Remedy("Allow only this network", "add_network")


def _unused(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    """Find what stopped being used, longest first, then what was never used."""
    idle = keys.idle_since(now - IDLE_FOR)
    return idle.order_by(F("last_used_at").asc(nulls_last=True), "created_at", "pk")


def _still_unused(dismissals: DismissalQuerySet) -> DismissalQuerySet:
    return dismissals.filter(created_at__gte=Coalesce(OuterRef("last_used_at"), F("created_at")))


def _tell_unused(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    return {
        key.pk: f"Not used for {(now - key.last_used_at).days:,} days."
        if key.last_used_at
        else f"Never used since it was created {(now - key.created_at).days:,} days ago."
        for key in keys
    }


def _privileged(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    """Find permissions without use, on keys that are old enough and are used at all."""
    held = Concat(Value(" "), OuterRef("permissions"), Value(" "), output_field=TextField())
    code = Concat(Value(" "), F("permission"), Value(" "), output_field=TextField())
    used = (
        PermissionUse.objects.filter(key=OuterRef("pk"), last_used_at__gte=now - UNUSED_FOR)
        .annotate(place=StrIndex(held, code))
        .filter(place__gt=0)
        .order_by()
        .values("key")
        .annotate(number=Sum(1))
        .values("number")
    )
    blanks = Length("permissions") - Length(Replace("permissions", Value(" "), Value("")))
    granted = Case(When(permissions="", then=0), default=blanks + 1, output_field=IntegerField())
    return (
        keys.filter(created_at__lt=now - UNUSED_FOR, last_used_at__gte=now - IDLE_FOR)
        .alias(
            granted=granted, used=Coalesce(Subquery(used, output_field=IntegerField()), Value(0))
        )
        .alias(unused=F("granted") - F("used"))
        .filter(unused__gt=0)
        .order_by("created_at", "pk")
    )


def _no_more_unused(dismissals: DismissalQuerySet) -> DismissalQuerySet:
    return dismissals.filter(unused__gte=OuterRef("unused"))


def _tell_privileged(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    unused = unused_permissions(keys, since=now - UNUSED_FOR)
    return {
        key_id: f"Not used for {UNUSED_FOR.days} days: {', '.join(labels(codes))}."
        for key_id, codes in unused.items()
    }


def _lasting(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    production = keys.filter(environment=Environment.PRODUCTION, expires_at=None)
    return production.order_by("created_at", "pk")


def _tell_lasting(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    return {
        key.pk: f"Never expires, created {timesince(key.created_at, now, depth=1)} ago."
        for key in keys
    }


def _open(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    production = keys.filter(environment=Environment.PRODUCTION, networks="")
    return production.order_by("created_at", "pk")


def _tell_open(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    return {
        key.pk: "Accepted from any address"
        + (f", last used from {key.last_used_address}." if key.last_used_address else ".")
        for key in keys
    }


def _expiring(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    return keys.expiring_before(now + EXPIRING_WITHIN).order_by("expires_at", "pk")


def _tell_expiring(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    return {
        key.pk: f"Expires in {timeuntil(key.expires_at, now, depth=1)}."
        for key in keys
        if key.expires_at
    }


def _refused(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    sums = (
        recent_usage(now)
        .filter(key_id=OuterRef("pk"))
        .values("key_id")
        .annotate(number=Sum(REFUSED), total=Sum("requests"))
        .filter(number__gte=MIN_REFUSALS, total__lte=F("number") * REFUSED_OF)
        .values("number")
    )
    return (
        keys.filter(last_used_at__gte=now - WITHIN)
        .alias(refusals=Subquery(sums, output_field=IntegerField()))
        .filter(refusals__gt=0)
        .order_by(F("refusals").desc(), "pk")
    )


def _tell_refused(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    told = {}
    for key_id, (requests, refused) in refusals([key.pk for key in keys], now).items():
        code = most_frequent_code(key_id, now)
        told[key_id] = (
            f"{percent(refused, requests)} of {requests:,} requests refused in 24 hours"
            + (f", most often {code}." if code else ".")
        )
    return told


def _old_secret(keys: ApiKeyQuerySet, now: datetime) -> ApiKeyQuerySet:
    age = timedelta(days=settings.REVIEW_SECRET_AGE_DAYS)
    old = keys.filter(secrets__retires_at=None, secrets__created_at__lt=now - age)
    return old.annotate(secret_made_at=F("secrets__created_at")).order_by("secret_made_at", "pk")


def _tell_old_secret(keys: Sequence[ApiKey], now: datetime) -> dict[str, str]:
    return {
        key.pk: f"The secret is {timesince(key.secret_made_at, now, depth=1)} old."  # type: ignore[attr-defined]
        for key in keys
    }


FINDINGS = (
    Finding(
        "unused", f"Not used for {IDLE_FOR.days} days",
        "Nobody would miss them, and nobody would notice if they were stolen.",
        _unused, _tell_unused, (REVOKE,), _still_unused,
    ),
    Finding(
        "permissions", "Unused permissions",
        "A stolen key could do what its integration does not need.",
        _privileged, _tell_privileged, (REMOVE_UNUSED,), _no_more_unused,
    ),
    Finding(
        "no-expiry", "Production keys without expiry",
        "They are accepted until somebody thinks of revoking them.",
        _lasting, _tell_lasting, (IN_90_DAYS, IN_A_YEAR, REVOKE),
    ),
    Finding(
        "no-network", "Production keys without network",
        "They are accepted from everywhere, so from a thief too.",
        _open, _tell_open, (TO_A_NETWORK, REVOKE),
    ),
    Finding(
        "expiring", f"Expiring within {EXPIRING_WITHIN.days} days",
        "Their requests are refused from then on.",
        _expiring, _tell_expiring, (IN_90_DAYS, IN_A_YEAR, REVOKE),
    ),
    Finding(
        "refused", "Many refusals",
        f"At least {MIN_REFUSALS} requests and one in {REFUSED_OF} were refused in 24 hours.",
        _refused, _tell_refused, (),
    ),
    Finding(
        "old-secret", f"Secrets older than {settings.REVIEW_SECRET_AGE_DAYS} days",
        "Regenerate each with an overlap, so that nothing stops while the new one is installed.",
        _old_secret, _tell_old_secret, (),
    ),
)  # fmt: skip
BY_NAME = {finding.name: finding for finding in FINDINGS}


def counts(now: datetime, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return how many keys each finding has, but for those that are ``known``."""
    known = known or {}
    return {
        finding.name: known[finding.name] if finding.name in known else finding.keys(now).count()
        for finding in FINDINGS
    }


def of_key(key: ApiKey, now: datetime) -> list[tuple[Finding, str]]:
    """Return the findings of one key, each with its sentence."""
    found = []
    for finding in FINDINGS:
        rows = list(finding.keys(now).filter(pk=key.pk))
        if rows:
            found.append((finding, finding.tell(rows, now)[key.pk]))
    return found


def dismissed_of_key(key: ApiKey, now: datetime) -> list[tuple[Finding, Dismissal]]:
    """Return the findings of one key that were dismissed, and are not back."""
    dismissals = Dismissal.objects.filter(key=key, until__gt=now, finding__in=BY_NAME)
    return [
        (BY_NAME[dismissal.finding], dismissal)
        for dismissal in dismissals.order_by("finding")
        if BY_NAME[dismissal.finding].dismissed_keys(now).filter(pk=key.pk).exists()
    ]


def by_key(names: Iterable[str], now: datetime) -> dict[str, list[tuple[ApiKey, str]]]:
    """Return the keys of the named findings, each with its sentence."""
    found: dict[str, list[tuple[ApiKey, str]]] = {name: [] for name in names}
    for name in found:
        rows = list(BY_NAME[name].keys(now))
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            sentences = BY_NAME[name].tell(some, now)
            # Django joins number and unit so that no line breaks between them.
            found[name] += [(key, sentences[key.pk].replace("\xa0", " ")) for key in some]
    return found
