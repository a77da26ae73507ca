"""What was changed by hand since a manifest was applied."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Model

from provisioning.manifests.kinds import part, section_of
from provisioning.models import ManagedObject


class Declared(NamedTuple):
    """Who declares a row, and what of it differs now: values applied and present, by field."""

    managed: ManagedObject
    drift: Mapping[str, tuple[Any, Any]]


def declared(kind: str, row: Model) -> Declared | None:
    """Return what a manifest says of a row; None if none does."""
    managed = ManagedObject.objects.filter(kind=kind, object_id=str(row.pk)).first()
    if managed is None:
        return None
    present = part(section_of(kind).written(row), managed.applied)
    return Declared(
        managed,
        {
            name: (value, present[name])
            for name, value in managed.applied.items()
            if present[name] != value
        },
    )
