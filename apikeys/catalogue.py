"""The catalogue of permissions: those built in, then the custom ones by code.

Custom permissions are created, changed and deleted here alone, locked and recorded. No key and no
rule names a permission that is not there: whoever stores a code locks its row first (``ordered``,
``ensure``), and ``delete`` looks for keys and rules under the same lock. The guard compares codes
and never asks the catalogue.

An app of services lists a function in the ``permission_users`` of its config. For some codes, it
returns the names of the services whose rules name each: ``{"orders:read": ["orders"]}``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet

from apikeys.audited import PermissionAction
from apikeys.models import ApiKey, CustomPermission
from apikeys.models.keys import MAX_DESCRIPTION_LENGTH, MAX_LABEL_LENGTH
from apikeys.permissions import BUILT_IN, CODE, label, resource
from apikeys.texts import clean_text
from audit.actors import Actor
from audit.trail import record, set_fields
from database.periodic_tasks import declared
from database.refusals import Conflict, Refused
from database.suggestions import suggestion

MAX_NAMED = 3


class Use(NamedTuple):
    """How many keys hold a permission, and the services whose rules name it."""

    keys: int
    services: list[str]


def custom() -> QuerySet[CustomPermission]:
    """Return the custom permissions; a code that became a built-in one is that."""
    return CustomPermission.objects.exclude(code__in=BUILT_IN)


def choices() -> list[tuple[str, str]]:
    """Return the code and the label of every permission, in order."""
    return [*BUILT_IN.items(), *sorted(custom().values_list("code", "label"))]


def by_resource() -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for code, name in choices():
        groups.setdefault(resource(code), []).append((code, name))
    return groups


def labels(codes: Iterable[str]) -> list[str]:
    codes = list(codes)
    names = _custom_labels(codes)
    return [names.get(code) or label(code) for code in codes]


def with_labels(keys: Iterable[ApiKey]) -> list[ApiKey]:
    """Return the keys, whose ``permission_labels`` are then those of the catalogue."""
    rows = list(keys)
    names = _custom_labels(code for key in rows for code in key.permissions)
    for key in rows:
        key.custom_labels = names
    return rows


def ordered(codes: Iterable[str]) -> tuple[str, ...]:
    """Return each code once, in order; raise ``Refused`` for an unknown one.

    Called in a transaction: none of them is deleted before it ends.
    """
    selected = set(codes)
    others = selected - BUILT_IN.keys()
    if unknown := others - _locked(others):
        raise Refused(not_a_permission(min(unknown)), field="permissions")
    return (*(code for code in BUILT_IN if code in selected), *sorted(others))


def not_a_permission(code: str) -> str:
    """Return what to tell somebody who named a permission that is not there."""
    meant = suggestion(code, dict(choices()), "Run list_permissions to see the codes.")
    return f"{code!r} is not a permission. {meant}"


def ensure(codes: Iterable[str], *, actor: Actor) -> None:
    """Create those that do not exist, labelled by their codes.

    Called in a transaction: none of them is deleted before it ends.
    """
    others = set(codes) - BUILT_IN.keys()
    # Repeated, because another may delete one in between. Locked last: who waits here for the
    # insert of another holds no lock that the other waits for.
    while True:
        known = CustomPermission.objects.filter(code__in=others).values_list("code", flat=True)
        missing = sorted(others.difference(known))
        rows = [CustomPermission(code=code, label=label_of(code)) for code in missing]
        CustomPermission.objects.bulk_create(rows, ignore_conflicts=True)
        _record(
            CustomPermission.objects.filter(pk__in=[row.pk for row in rows]),
            PermissionAction.CREATED,
            actor,
        )
        if _locked(others) == others:
            return


def create(code: str, *, actor: Actor, label: str, description: str = "") -> CustomPermission:
    """Create a custom permission; raise ``Conflict`` if there is one of this code."""
    permission = CustomPermission(code=code, **_clean(label=label, description=description))
    if not CODE.fullmatch(code):
        raise Refused(
            f"{code!r} is not a code. Write it as orders:read: twice up to 40 of a-z, 0-9, ., _"
            " and -, a letter first.",
            field="code",
        )
    if code in BUILT_IN:
        raise Conflict(f"{code} is built in. Grant it as it is, or use another code.", field="code")
    try:
        with transaction.atomic():
            permission.save(force_insert=True)
            _record([permission], PermissionAction.CREATED, actor)
    except IntegrityError:
        if CustomPermission.objects.filter(code=code).exists():
            raise Conflict(
                f"There is a permission {code} already. Use another code, or change that one.",
                field="code",
            ) from None
        raise
    return permission


def update(
    permission: CustomPermission, *, actor: Actor, fields: Mapping[str, str]
) -> CustomPermission:
    """Change label and description; the code stays, as keys and rules name it."""
    values = _clean(**fields)
    with transaction.atomic():
        found = CustomPermission.objects.select_for_update().filter(pk=permission.pk).first()
        if found is None:
            raise Conflict("The permission was deleted. Go back to the list.")
        if changes := set_fields(found, values):
            found.save()
            _record([found], PermissionAction.UPDATED, actor, changes)
    return found


def delete(permission: CustomPermission, *, actor: Actor) -> bool:
    """Delete a permission; whether it was still there. Raises ``Conflict`` while it is in use."""
    code = permission.code
    with transaction.atomic():
        if not _locked([code]):
            return False
        _refuse_used(code)
        CustomPermission.objects.filter(code=code).delete()
        _record([permission], PermissionAction.DELETED, actor)
    return True


def find(code: str) -> CustomPermission:
    """Return a custom permission by its code; raise ``Refused`` if there is none to change."""
    if code in BUILT_IN:
        raise Refused(f"{code} is built in and stays as it is. Choose a custom permission.")
    permission = CustomPermission.objects.filter(code=code).first()
    if permission is None:
        raise Refused(f"There is no permission {code!r}. Run list_permissions to see the codes.")
    return permission


def uses(codes: Iterable[str]) -> dict[str, Use]:
    """Return what uses each permission. Keys that are revoked or expired hold theirs still."""
    keys: Counter[str] = Counter()
    groups = ApiKey.objects.order_by().values_list("permissions").annotate(count=Count("pk"))
    for held, count in groups:
        keys.update(dict.fromkeys(held, count))
    return {code: Use(keys[code], names) for code, names in _services(codes).items()}


def _services(codes: Iterable[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {code: [] for code in codes}
    for users in declared("permission_users"):
        for code, found in users(names).items():
            names[code] += found
    return names


def _locked(codes: Iterable[str]) -> set[str]:
    # In one order, or two transactions could wait for each other.
    rows = CustomPermission.objects.select_for_update().filter(code__in=codes).order_by("code")
    return set(rows.values_list("code", flat=True))


def _custom_labels(codes: Iterable[str]) -> dict[str, str]:
    others = set(codes) - BUILT_IN.keys()
    if not others:
        return {}
    return dict(CustomPermission.objects.filter(code__in=others).values_list("code", "label"))


def label_of(code: str) -> str:
    """Return ``Orders Read`` of ``orders:read``."""
    return " ".join(word.capitalize() for word in re.split(r"[^a-z0-9]+", code) if word)


def _clean(**fields: str) -> dict[str, str]:
    longest = {"label": MAX_LABEL_LENGTH, "description": MAX_DESCRIPTION_LENGTH}
    values = {
        name: clean_text(text, field=name, longest=longest[name]) for name, text in fields.items()
    }
    if values.get("label") == "":
        raise Refused("The label is blank. Write what people read, as Order Read.", field="label")
    return values


def _refuse_used(code: str) -> None:
    keys = ApiKey.objects.granted(code).order_by("name", "pk")
    names = _services([code])[code]
    users = [
        f"{verb} {_some(found, count)}"
        for verb, found, count in (
            ("held by", [str(key) for key in keys[:MAX_NAMED]], keys.count()),
            ("named by the rules of", names, len(names)),
        )
        if count
    ]
    if users:
        raise Conflict(f"{code} is {', and '.join(users)}. Take it away there first.")


def _some(names: list[str], count: int) -> str:
    """Return a few of the names, and how many more there are."""
    more = f" and {count - MAX_NAMED} more" if count > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _record(
    permissions: Iterable[CustomPermission],
    action: PermissionAction,
    actor: Actor,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write an event of each; without ``changes``, about all that a permission is."""
    for permission in permissions:
        record(permission, action, actor, changes or _whole(permission, action))


def _whole(permission: CustomPermission, action: PermissionAction) -> dict[str, Any]:
    values = {"label": permission.label, "description": permission.description}
    is_gone = action == PermissionAction.DELETED
    return {name: [text, None] if is_gone else [None, text] for name, text in values.items()}
