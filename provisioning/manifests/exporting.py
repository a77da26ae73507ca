"""Writes what there is as a manifest, without secrets: applied here, it would change nothing."""

from collections.abc import Iterable, Iterator
from typing import Any

from apikeys import catalogue
from apikeys.models import ApiKey
from customers.models import Customer
from gateway.models import Service
from provisioning.manifests.kinds import SECTIONS, identity_of

OWNER = "exported"


def exported(environment: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return a manifest of everything, or of one environment, and what it had to leave out."""
    within = {"environment": environment} if environment else {}
    rows: dict[str, Iterable[Any]] = {
        "permissions": catalogue.custom().order_by("code"),
        "services": Service.objects.order_by("name"),
        "customers": Customer.objects.filter(**within)
        .exclude(external_reference=None)
        .order_by("environment", "external_reference"),
        "keys": ApiKey.objects.in_force().filter(**within).order_by("environment", "name", "pk"),
    }
    left_out: list[str] = []
    manifest: dict[str, Any] = {"owner": OWNER}
    for name, found in rows.items():
        manifest[name] = list(_entries(name, found, left_out))
    return manifest, left_out


def _entries(name: str, rows: Iterable[Any], left_out: list[str]) -> Iterator[dict[str, Any]]:
    section = SECTIONS[name]
    seen: set[str] = set()
    for row in rows:
        values = section.written(row)
        identity = identity_of(section, values)
        if identity in seen:
            left_out.append(f"{section.kind} {identity} ({row.pk}): another one has the same name")
            continue
        seen.add(identity)
        if any(str(item).startswith("id ") for item in values.get("customers", ())):
            left_out.append(
                f"customers of {section.kind} {identity}: some have no external reference"
            )
            del values["customers"]
        yield values
