"""How each kind of thing is written in a manifest, found, and changed through its lifecycle.

``written`` is the one form that plan, export and drift compare: a row as a manifest would have it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Protocol, cast

from apikeys import catalogue, lifecycle
from apikeys.environments import Environment
from apikeys.guard.serializers import validated
from apikeys.lifecycle import IssuedKey
from apikeys.limits import WINDOWS
from apikeys.models import ApiKey, CustomPermission
from apikeys.validation import PLAIN_FIELDS, KeyFields
from audit.actors import Actor
from customers.customers import lifecycle as customer_lifecycle
from customers.customers.serializers import CustomerInput
from customers.models import Customer
from database import timestamps
from database.refusals import Refused
from gateway import lifecycle as service_lifecycle
from gateway.models import Service
from gateway.rules import parse_rules
from handover import lifecycle as hand_overs
from handover.lifecycle import Offer, Terms
from provisioning.models import Kind

Values = Mapping[str, Any]
ALL, NEVER, DEFAULT = "all", "never", "default"


class Section(Protocol):
    """A section of a manifest. ``removal`` is the word for what pruning does."""

    kind: ClassVar[Kind]
    identity_fields: ClassVar[tuple[str, ...]]
    removal: ClassVar[str]

    def find(self, values: Values) -> Any:
        """Return the row of an identity, whoever made it; None if there is none."""

    def get(self, object_id: str) -> Any:
        """Return the row of a primary key; None if it is gone."""

    def create(self, values: Values, actor: Actor, terms: Terms | None) -> Any:
        """Make the row; of a key, return it with its credential, or by ``terms`` with its link."""

    def update(self, row: Any, values: Values, actor: Actor) -> None:
        """Change what ``values`` names."""

    def remove(self, row: Any, owner: str, actor: Actor) -> None:
        """Remove a row that its owner declares no longer."""

    def written(self, row: Any) -> dict[str, Any]:
        """Return the row as a manifest has it."""


class Permissions(Section):
    """Custom permissions, by code."""

    kind: ClassVar = Kind.PERMISSION
    identity_fields: ClassVar = ("code",)
    removal: ClassVar = "delete"

    def find(self, values: Values) -> CustomPermission | None:
        return CustomPermission.objects.filter(code=values["code"]).first()

    def get(self, object_id: str) -> CustomPermission | None:
        return CustomPermission.objects.filter(pk=object_id).first()

    def create(self, values: Values, actor: Actor, terms: Terms | None) -> CustomPermission:
        texts = {name: values[name] for name in ("label", "description") if name in values}
        texts.setdefault("label", catalogue.label_of(values["code"]))
        return catalogue.create(values["code"], actor=actor, **texts)

    def update(self, row: CustomPermission, values: Values, actor: Actor) -> None:
        texts = {name: values[name] for name in ("label", "description") if name in values}
        catalogue.update(row, actor=actor, fields=texts)

    def remove(self, row: CustomPermission, owner: str, actor: Actor) -> None:
        catalogue.delete(row, actor=actor)

    def written(self, row: CustomPermission) -> dict[str, Any]:
        return {"code": row.code, "label": row.label, "description": row.description}


class Services(Section):
    """Guarded services, by name."""

    kind: ClassVar = Kind.SERVICE
    identity_fields: ClassVar = ("name",)
    removal: ClassVar = "delete"

    def find(self, values: Values) -> Service | None:
        return Service.objects.filter(name=values["name"]).first()

    def get(self, object_id: str) -> Service | None:
        return Service.objects.filter(pk=object_id).first()

    def create(self, values: Values, actor: Actor, terms: Terms | None) -> Service:
        service = service_lifecycle.create(
            values["name"],
            actor=actor,
            description=values.get("description", ""),
            rules=parse_rules(values["rules"]) if "rules" in values else None,
        )
        if not values.get("enabled", True):
            self.update(service, {"enabled": False}, actor)
        return service

    def update(self, row: Service, values: Values, actor: Actor) -> None:
        fields = {"description": values["description"]} if "description" in values else {}
        if "enabled" in values:
            fields["is_enabled"] = values["enabled"]
        rules = parse_rules(values["rules"]) if "rules" in values else None
        service_lifecycle.update(row, actor=actor, fields=fields, rules=rules)

    def remove(self, row: Service, owner: str, actor: Actor) -> None:
        service_lifecycle.delete(row, actor=actor)

    def written(self, row: Service) -> dict[str, Any]:
        return {
            "name": row.name,
            "description": row.description,
            "enabled": row.is_enabled,
            "rules": [str(rule) for rule in row.rule_lines],
        }


class Customers(Section):
    """Customers of an environment, by external reference."""

    kind: ClassVar = Kind.CUSTOMER
    identity_fields: ClassVar = ("environment", "external_reference")
    removal: ClassVar = "delete"

    def find(self, values: Values) -> Customer | None:
        wanted = {name: values[name] for name in self.identity_fields}
        return Customer.objects.filter(**wanted).first()

    def get(self, object_id: str) -> Customer | None:
        return Customer.objects.filter(pk=object_id).first()

    def create(self, values: Values, actor: Actor, terms: Terms | None) -> Customer:
        fields = validated(CustomerInput, _without(values, "environment"))
        return customer_lifecycle.create(environment=values["environment"], actor=actor, **fields)

    def update(self, row: Customer, values: Values, actor: Actor) -> None:
        fields = validated(CustomerInput, _without(values, "environment"), partial=True)
        if any(getattr(row, name) != value for name, value in fields.items()):
            customer_lifecycle.update(row, actor=actor, fields=fields)

    def remove(self, row: Customer, owner: str, actor: Actor) -> None:
        customer_lifecycle.delete(row, actor=actor)

    def written(self, row: Customer) -> dict[str, Any]:
        return {
            "environment": row.environment,
            "external_reference": row.external_reference,
            "name": row.name,
            "email": row.email,
            "status": row.status,
            "metadata": row.metadata,
        }


class Keys(Section):
    """Keys of an environment, by name. One that is revoked is nobody's any more."""

    kind: ClassVar = Kind.KEY
    identity_fields: ClassVar = ("environment", "name")
    removal: ClassVar = "revoke"

    def find(self, values: Values) -> ApiKey | None:
        keys = ApiKey.objects.in_force().filter(
            environment=values["environment"], name=values["name"].strip()
        )
        found = list(keys[:2])
        if len(found) > 1:
            raise Refused(
                f"Several keys of {values['environment']} are named {values['name']!r}."
                " Rename all but one, or use another name."
            )
        return found[0] if found else None

    def get(self, object_id: str) -> ApiKey | None:
        return ApiKey.objects.filter(pk=object_id).first()

    def create(self, values: Values, actor: Actor, terms: Terms | None) -> IssuedKey | Offer:
        environment, fields = Environment(values["environment"]), _key_fields(values)
        if terms is None:
            return lifecycle.create(environment=environment, actor=actor, **fields)
        return hand_overs.create(terms, environment=environment, actor=actor, **fields)

    def update(self, row: ApiKey, values: Values, actor: Actor) -> None:
        lifecycle.update(row, actor=actor, **_key_fields(values))

    def remove(self, row: ApiKey, owner: str, actor: Actor) -> None:
        lifecycle.revoke(row, actor=actor, reason=f"No longer in the manifest of {owner}.")

    def written(self, row: ApiKey) -> dict[str, Any]:
        own = {window.name: getattr(row, window.field) for window in WINDOWS}
        limits = {name: DEFAULT if limit is None else limit for name, limit in own.items()}
        references = row.customers.order_by("external_reference", "pk")
        customers = [
            reference or f"id {pk}"
            for reference, pk in references.values_list("external_reference", "pk")
        ]
        return {
            "environment": row.environment,
            "name": row.name,
            "permissions": list(row.permissions),
            "customers": customers if row.is_scoped else ALL,
            "limits": limits,
            "networks": list(row.networks),
            "expires_at": timestamps.text(row.expires_at) if row.expires_at else NEVER,
            "tags": list(row.tags),
            "owner": row.owner,
            "note": row.note,
        }


SECTIONS: Mapping[str, Section] = {
    "permissions": Permissions(),
    "services": Services(),
    "customers": Customers(),
    "keys": Keys(),
}


def identity_of(section: Section, values: Values) -> str:
    return "/".join(str(values[name]).strip() for name in section.identity_fields)


def section_of(kind: str) -> Section:
    return next(section for section in SECTIONS.values() if section.kind == kind)


def part(written: Values, values: Values) -> dict[str, Any]:
    """Return of a row as it is written what a manifest's ``values`` name, windows of limits too."""
    named = {name: written[name] for name in values}
    if "limits" in named:
        named["limits"] = {window: named["limits"][window] for window in values["limits"]}
    return named


def _key_fields(values: Values) -> KeyFields:
    fields: dict[str, Any] = {name: values[name] for name in PLAIN_FIELDS if name in values}
    limits = values.get("limits", {})
    for window in WINDOWS:
        if window.name in limits:
            limit = limits[window.name]
            fields[window.field] = None if limit == DEFAULT else limit
    if "customers" in values:
        fields["customers"] = _customer_ids(values["environment"], values["customers"])
    if "expires_at" in values:
        fields["expires_at"] = _expiry(values["expires_at"])
    return cast(KeyFields, fields)


def _customer_ids(environment: str, named: Any) -> list[Any] | None:
    if named == ALL:
        return None
    rows = Customer.objects.filter(environment=environment, external_reference__in=named)
    ids = dict(rows.values_list("external_reference", "pk"))
    for reference in named:
        if reference not in ids:
            raise Refused(
                f"There is no {environment} customer with the external reference {reference!r}."
                " Declare it under customers, or correct the reference."
            )
    return list(ids.values())


def _expiry(text: str) -> datetime | None:
    if text == NEVER:
        return None
    try:
        return timestamps.parse(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no expiry. {error}") from None


def _without(values: Values, name: str) -> dict[str, Any]:
    return {field: value for field, value in values.items() if field != name}
