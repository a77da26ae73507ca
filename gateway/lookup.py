"""The one query of a decision: a service by its name, and beside it the key of a credential.

Rules are kept in the process under the service's revision, which the query reads: what was read of
a revision never changes, and a change binds on the next request everywhere.
"""

from functools import cache
from typing import Any, NamedTuple

from apikeys.guard import key_lookup
from apikeys.guard.key_lookup import KEY_FIELDS, KEY_ID_MARK, Found
from apikeys.guard.statements import Statement
from gateway.models import Service
from gateway.rules import CompiledRules, RuleLine, compile_rules

NAME_MARK = "<name>"
# Services are few; this bounds what deleted ones leave.
MAX_CACHED_SERVICES = 1_000


class ServiceRow(NamedTuple):
    """What decisions need of a service."""

    id: Any
    is_enabled: bool
    revision: int


_rules: dict[Any, tuple[int, CompiledRules]] = {}


@cache
def _statement(fields: tuple[str, ...]) -> Statement:
    services = Service.objects.filter(name=NAME_MARK).order_by().values_list(*ServiceRow._fields)
    return Statement(services, *key_lookup.parts(fields), marks=(NAME_MARK, KEY_ID_MARK))


def find(
    name: str, key_id: str, fields: tuple[str, ...] = KEY_FIELDS
) -> tuple[ServiceRow | None, Found]:
    """Return the service and what ``key_lookup.find`` returns for a key id, which may be blank.

    Without the service the key is not looked up.
    """
    rows = _statement(fields).rows(name, key_id)
    if not rows:
        return None, key_lookup.found([])
    split = len(ServiceRow._fields)
    return ServiceRow(*rows[0][:split]), key_lookup.found(rows, fields, start=split)


def rules(service: ServiceRow) -> CompiledRules:
    """Return the rules of the service as they are now."""
    cached = _rules.get(service.id)
    if cached is None or cached[0] != service.revision:
        cached = _read(service)
        if len(_rules) >= MAX_CACHED_SERVICES:
            _rules.clear()
        _rules[service.id] = cached
    return cached[1]


def _read(service: ServiceRow) -> tuple[int, CompiledRules]:
    """Return the revision and the rules with one query, so that they belong together."""
    columns = ("revision", *(f"rules__{name}" for name in RuleLine._fields))
    rows = list(
        Service.objects.filter(pk=service.id).order_by("rules__position").values_list(*columns)
    )
    # Without a row the service is gone: no rule then admits anything.
    revision = rows[0][0] if rows else service.revision
    return revision, compile_rules(RuleLine(*row[1:]) for row in rows if row[2])
