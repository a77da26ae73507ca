"""The life of a service: every change of one or of its rules is made here, locked and recorded."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apikeys import catalogue
from apikeys.texts import clean_text
from audit.actors import Actor
from audit.trail import record, set_fields
from database.refusals import Conflict, Refused
from gateway.audited import ServiceAction
from gateway.models import MAX_DESCRIPTION_LENGTH, Rule, Service
from gateway.rules import RuleLine, changed_places, default_rules, write_numbers

GONE = "The service was deleted. Run list_services, or go back to the list, to see the others."


def create(
    name: str,
    *,
    actor: Actor,
    description: str = "",
    is_enabled: bool = True,
    rules: Sequence[RuleLine] | None = None,
) -> Service:
    """Make a service, with the two default rules if none are given, and missing permissions.

    Raises ``Conflict`` if the name is taken.
    """
    service = Service(name=name, description=_clean_description(description), is_enabled=is_enabled)
    try:
        service.clean_fields()
    except ValidationError as error:
        raise Refused(
            f"{name!r} is not a name for a service. Use up to 40 of a-z, 0-9, -, a letter first.",
            field=next(iter(error.message_dict)),
        ) from None
    rules = default_rules(name) if rules is None else rules
    try:
        with transaction.atomic():
            service.save(force_insert=True)
            _create_permissions(rules, actor)
            _write_rules(service, rules)
            changes = {
                "rules": [None, "\n".join(map(str, rules))],
                "is_enabled": [None, service.is_enabled],
            }
            record(service, ServiceAction.CREATED, actor, changes)
    except IntegrityError:
        if Service.objects.filter(name=name).exists():
            raise Conflict(
                f"There is a service {name!r} already. Use another name, or update that service.",
                field="name",
            ) from None
        raise
    return service


def update(
    service: Service,
    *,
    actor: Actor,
    fields: Mapping[str, Any],
    rules: Sequence[RuleLine] | None = None,
    revision: int | None = None,
) -> Service:
    """Change description and ``is_enabled``; given rules replace all. Nothing else may change.

    Permissions that rules name and that do not exist are created.
    With ``revision``, raises ``Conflict`` if the service changed since the actor read it.
    """
    values = dict(fields)
    if "description" in values:
        values["description"] = _clean_description(values["description"])
    with transaction.atomic():
        found = _locked(service)
        if found is None:
            raise Conflict(GONE)
        if revision is not None and revision != found.revision:
            raise Conflict(
                "The service was changed after this page was opened. Reload it and try again."
            )
        changes = set_fields(found, values)
        before = found.rule_lines
        if rules is not None and before != tuple(rules):
            changes |= _changed_rules(before, rules)
            _create_permissions(rules, actor)
            _write_rules(found, rules)
        if changes:
            found.revision += 1
            found.save()
            record(found, _action(changes, found), actor, changes)
    return found


def delete(service: Service, *, actor: Actor) -> bool:
    """Delete a service and its rules; whether it was still there. Its permissions stay."""
    with transaction.atomic():
        found = _locked(service)
        if found is None:
            return False
        changes = {
            "rules": ["\n".join(map(str, found.rule_lines)), None],
            "is_enabled": [found.is_enabled, None],
        }
        record(found, ServiceAction.DELETED, actor, changes)
        found.delete()
    return True


def services_by_permission(codes: Collection[str]) -> dict[str, list[str]]:
    """Return the names of the services whose rules need each permission."""
    rules = Rule.objects.filter(needs__in=codes).order_by("service__name")
    names: dict[str, list[str]] = {}
    for code, name in rules.values_list("needs", "service__name").distinct():
        names.setdefault(code, []).append(name)
    return names


def _create_permissions(rules: Sequence[RuleLine], actor: Actor) -> None:
    catalogue.ensure({rule.permission for rule in rules if rule.permission}, actor=actor)


def _locked(service: Service) -> Service | None:
    return Service.objects.select_for_update().filter(pk=service.pk).first()


def _write_rules(service: Service, rules: Sequence[RuleLine]) -> None:
    service.rules.all().delete()
    Rule.objects.bulk_create(
        Rule(service=service, position=position, **rule._asdict())
        for position, rule in enumerate(rules)
    )


def _changed_rules(before: Sequence[RuleLine], after: Sequence[RuleLine]) -> dict[str, Any]:
    """Return the lines that went and those that came, and their numbers before and after."""
    went: list[int] = []
    came: list[int] = []
    for went_places, came_places in changed_places(before, after):
        went += went_places
        came += came_places
    return {
        "rules": [
            "\n".join(str(before[place]) for place in went),
            "\n".join(str(after[place]) for place in came),
        ],
        "rule numbers": [write_numbers(went), write_numbers(came)],
    }


def _action(changes: Mapping[str, Any], service: Service) -> ServiceAction:
    if "is_enabled" not in changes:
        return ServiceAction.UPDATED
    return ServiceAction.ENABLED if service.is_enabled else ServiceAction.DISABLED


def _clean_description(text: str) -> str:
    return clean_text(text, field="description", longest=MAX_DESCRIPTION_LENGTH)
