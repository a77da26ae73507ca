"""Applies a manifest: one transaction that makes, changes and prunes, and says what it did.

A plan is what applying does, rolled back, so that it refuses what applying would refuse. Only what
the manifest's owner made is changed or pruned.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apikeys.guard.problems import FieldErrors
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey
from apikeys.models.rights import Excess, excesses, rights_of
from audit.actors import Actor
from database.refusals import Conflict, Refused
from handover.lifecycle import Offer, Terms
from provisioning.manifests.kinds import SECTIONS, Section, identity_of, part
from provisioning.manifests.reading import Entry, Manifest
from provisioning.models import Kind, ManagedObject, ManifestOwner

# What is made with something that is shown once.
GIVEN = (IssuedKey, Offer)


class Action(StrEnum):
    """What is done to one thing."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one thing. ``changes`` maps a field to its values before and after.

    ``widening`` names the rights that a key gains, ``note`` what the reader should know.
    """

    kind: Kind
    identity: str
    action: Action
    verb: str
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    widening: tuple[Excess, ...] = ()
    note: str = ""
    issued: IssuedKey | Offer | None = field(default=None, repr=False)


def apply(
    manifest: Manifest, *, actor: Actor, prune: bool = False, terms: Terms | None = None
) -> list[Step]:
    """Do what the manifest says; return each step. Called in a transaction.

    With ``terms``, new keys are handed over by links and have no credential yet.
    Another manifest of the same owner that is being applied is waited for.
    """
    _refuse_repeated(manifest)
    ManifestOwner.objects.get_or_create(name=manifest.owner)
    owner = ManifestOwner.objects.select_for_update().get(pk=manifest.owner)
    steps = []
    for name, section in SECTIONS.items():
        for entry in manifest.sections[name]:
            with _placed(entry):
                steps.append(_apply(owner, section, entry.values, actor, terms))
    if prune:
        # What names others goes before these do.
        for name, section in reversed(list(SECTIONS.items())):
            steps += _prune(owner, section, manifest.sections[name], actor)
    return steps


def differs(steps: Iterable[Step]) -> bool:
    return any(step.action != Action.UNCHANGED for step in steps)


def _apply(
    owner: ManifestOwner,
    section: Section,
    values: Mapping[str, Any],
    actor: Actor,
    terms: Terms | None,
) -> Step:
    identity = identity_of(section, values)
    managed = ManagedObject.objects.filter(kind=section.kind, identity=identity).first()
    row = section.get(managed.object_id) if managed else section.find(values)
    if row is None:
        made = section.create(values, actor, terms)
        return _create(owner, managed, section, values, made)
    is_own = managed is not None and managed.owner_id == owner.pk
    before, rights = section.written(row), rights_of(row) if isinstance(row, ApiKey) else None
    with transaction.atomic():
        section.update(row, values, actor)
        row = section.get(str(row.pk))
        after = section.written(row)
        changes = _changes(before, after)
        if changes and not is_own:
            raise Conflict(
                f"The {section.kind} {identity!r} differs and was not made by {owner.name!r}."
                " Use another name, or write it as it is."
            )
    if managed is not None and is_own:
        managed.applied = part(after, values)
        managed.applied_at = timezone.now()
        managed.save()
    wider = excesses(rights, rights_of(row)) if rights is not None else ()
    return Step(
        section.kind,
        identity,
        Action.CHANGE if changes else Action.UNCHANGED,
        "change" if changes else "unchanged",
        changes,
        widening=tuple(wider),
        note=_note(row, is_own=is_own),
    )


def _create(
    owner: ManifestOwner,
    managed: ManagedObject | None,
    section: Section,
    values: Mapping[str, Any],
    made: Any,
) -> Step:
    identity = identity_of(section, values)
    row = made.key if isinstance(made, GIVEN) else made
    row = section.get(str(row.pk))
    after = section.written(row)
    managed = managed or ManagedObject(kind=section.kind, identity=identity)
    # Whoever makes it anew owns it: another's pruning must not remove it.
    managed.owner = owner
    managed.object_id, managed.applied = str(row.pk), part(after, values)
    managed.applied_at = timezone.now()
    try:
        with transaction.atomic():
            managed.save()
    except IntegrityError:
        # Committed after this transaction had looked for it.
        raise Conflict(
            f"The {section.kind} {identity!r} was made by another owner at the same moment."
            " Apply the manifest again to see what it finds now."
        ) from None
    return Step(
        section.kind,
        identity,
        Action.CREATE,
        "create",
        {name: (None, value) for name, value in after.items() if name in values},
        issued=made if isinstance(made, GIVEN) else None,
    )


def _prune(
    owner: ManifestOwner, section: Section, entries: Iterable[Entry], actor: Actor
) -> Iterator[Step]:
    declared = {identity_of(section, entry.values) for entry in entries}
    rows = ManagedObject.objects.filter(owner=owner, kind=section.kind)
    for managed in rows.exclude(identity__in=declared):
        row = section.get(managed.object_id)
        try:
            with transaction.atomic():
                if row is not None:
                    section.remove(row, owner.name, actor)
        except Conflict as conflict:
            # What is in use is kept, and tried again the next time.
            note = f"kept: {conflict}"
            yield Step(section.kind, managed.identity, Action.UNCHANGED, "unchanged", note=note)
            continue
        managed.delete()
        if row is not None:
            yield Step(section.kind, managed.identity, Action.REMOVE, section.removal)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before[name], value) for name, value in after.items() if before[name] != value}


def _note(row: Any, *, is_own: bool) -> str:
    if not is_own:
        return "not made by this owner"
    if isinstance(row, ApiKey) and row.is_revoked:
        return "is revoked, and stays so"
    return ""


def _refuse_repeated(manifest: Manifest) -> None:
    for name, section in SECTIONS.items():
        places: dict[str, str] = {}
        for entry in manifest.sections[name]:
            identity = identity_of(section, entry.values)
            if identity in places:
                raise Refused(
                    f"{entry.place}: {identity!r} is declared at {places[identity]} already."
                    " Take one of them out."
                )
            places[identity] = entry.place


@contextmanager
def _placed(entry: Entry) -> Iterator[None]:
    """Say of a refusal where in the manifest its cause is."""
    try:
        yield
    except FieldErrors as error:
        named: Any = error.members["errors"]
        raise Refused(f"{entry.place}: {named[0]['field']}: {named[0]['message']}") from None
    except Refused as refused:
        raise Refused(f"{entry.place}: {refused}") from None
