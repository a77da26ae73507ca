"""The kinds of objects in the trail; each app declares its own, with what can be done to them.

An app's config lists the dotted paths of its ``Kind`` objects in ``audited``.
"""

from functools import cache
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from database.periodic_tasks import declared


class Kind(NamedTuple):
    """A kind of object.

    ``id_field`` is what an object is known by after it is gone, and its history with it.
    ``name_field`` is what people call it; without, the text of the row.
    """

    model: str
    label: str
    actions: type[models.TextChoices]
    id_field: str = "pk"
    name_field: str = ""
    # What it takes to see the events of this kind, beside the right to see the trail.
    permission: str = ""
    # Whether what the events say of an object is deleted with it.
    is_forgotten: bool = False


class Subject(NamedTuple):
    """The object of an action, as the trail names it."""

    type: str
    id: str
    label: str
    environment: str = ""


@cache
def kinds() -> dict[str, Kind]:
    return {kind.model: kind for kind in declared("audited")}


def subject_of(row: models.Model) -> Subject:
    kind = kinds()[row._meta.label_lower]
    return Subject(
        type=kind.model,
        id=str(getattr(row, kind.id_field)),
        label=str(getattr(row, kind.name_field) if kind.name_field else row),
        environment=getattr(row, "environment", ""),
    )


def actions() -> dict[str, str]:
    """Return all actions by their names; one name has one label wherever it is used."""
    return {value: str(label) for kind in kinds().values() for value, label in kind.actions.choices}


def action_label(object_type: str, action: str) -> str:
    """Return what people read; an action that no app declares any more is shown as it is."""
    kind = kinds().get(object_type)
    labels: dict[Any, Any] = dict(kind.actions.choices) if kind else {}
    return str(labels.get(action, action))


def field_label(object_type: str, name: str) -> str:
    """Return what people read of a field that was changed, as forms call it if it is a column."""
    try:
        field = apps.get_model(object_type)._meta.get_field(name)
    except (LookupError, ValueError, FieldDoesNotExist):
        field = None
    label = str(getattr(field, "verbose_name", name.replace("_", " ")))
    return label[:1].upper() + label[1:]
