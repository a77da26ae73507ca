"""The life of a service: what each change does, and what is recorded of it."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audit.models import Event
from database.refusals import Conflict, Refused
from gateway import lifecycle
from gateway.models import Rule, Service
from gateway.rules import parse_rules
from tests.support.factories import ACTOR

pytestmark = pytest.mark.django_db

ONE = parse_rules(["GET /a any-key"])
TWO = parse_rules(["GET /a any-key", "* /b orders:write cost=5"])


def history(name: str) -> list[tuple[str, dict[str, Any]]]:
    events = Event.objects.filter(object_type="gateway.service", object_id=name).order_by("id")
    return list(events.values_list("action", "changes"))


def test_a_new_service_has_the_two_default_rules() -> None:
    service = lifecycle.create("orders", actor=ACTOR)

    written = ["GET,HEAD,OPTIONS /** orders:read", "* /** orders:write"]
    assert (service.is_enabled, service.revision) == (True, 1)
    assert [str(rule) for rule in service.rules.all()] == written
    assert history("orders") == [
        ("created", {"rules": [None, "\n".join(written)], "is_enabled": [None, True]})
    ]


@pytest.mark.parametrize(
    ("fields", "rules", "action", "changes"),
    [
        ({"description": "Ours"}, None, "updated", {"description": ["", "Ours"]}),
        ({"is_enabled": False}, None, "disabled", {"is_enabled": [True, False]}),
        ({}, TWO, "updated",
         {"rules": ["", "* /b orders:write cost=5"], "rule numbers": [None, "2"]}),
        ({}, (), "updated", {"rules": ["GET /a any-key", ""], "rule numbers": ["1", None]}),
        ({"is_enabled": False, "description": "x"}, TWO, "disabled",
         {"is_enabled": [True, False], "description": ["", "x"],
          "rules": ["", "* /b orders:write cost=5"], "rule numbers": [None, "2"]}),
        ({}, None, None, None),
        ({"description": "", "is_enabled": True}, ONE, None, None),
    ],
)  # fmt: skip
def test_a_change_is_recorded_and_raises_the_revision(
    fields: dict[str, Any], rules: Any, action: str | None, changes: Any
) -> None:
    service = lifecycle.create("orders", actor=ACTOR, rules=ONE)

    updated = lifecycle.update(service, actor=ACTOR, fields=fields, rules=rules)

    assert updated.revision == (1 if action is None else 2)
    assert history("orders")[1:] == ([] if action is None else [(action, changes)])
    stored = Service.objects.get()
    assert stored.revision == updated.revision
    assert stored.rule_lines == (ONE if rules is None else rules)


def test_a_disabled_service_is_enabled_again() -> None:
    service = lifecycle.create("orders", actor=ACTOR, is_enabled=False)

    assert lifecycle.update(service, actor=ACTOR, fields={"is_enabled": True}).is_enabled
    assert [action for action, _ in history("orders")] == ["created", "enabled"]


@pytest.mark.parametrize("name", ["", "Orders", "1a", "-a", "a_b", "a.b", "é", "a\n", "a" * 41])
def test_a_name_that_proxies_could_not_write_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="name for a service") as refused:
        lifecycle.create(name, actor=ACTOR)

    assert refused.value.field == "name"
    assert not Service.objects.exists()


def test_a_taken_name_is_a_conflict_and_changes_nothing() -> None:
    lifecycle.create("orders", actor=ACTOR, rules=ONE)

    with pytest.raises(Conflict, match="already") as conflict:
        lifecycle.create("orders", actor=ACTOR)

    assert conflict.value.field == "name"
    assert Service.objects.get().rule_lines == ONE
    assert len(history("orders")) == 1


def test_a_description_that_hides_something_is_refused() -> None:
    service = lifecycle.create("orders", actor=ACTOR)

    with pytest.raises(Refused, match="description"):
        lifecycle.update(service, actor=ACTOR, fields={"description": "a\u202eb"})


def test_a_change_of_an_older_revision_is_a_conflict() -> None:
    service = lifecycle.create("orders", actor=ACTOR, rules=ONE)
    lifecycle.update(service, actor=ACTOR, fields={"description": "x"}, revision=1)

    with pytest.raises(Conflict, match="Reload"):
        lifecycle.update(service, actor=ACTOR, fields={}, rules=TWO, revision=1)

    assert Service.objects.get().rule_lines == ONE


def test_a_deleted_service_takes_its_rules_along_and_leaves_its_history() -> None:
    service = lifecycle.create("orders", actor=ACTOR, rules=TWO)

    assert lifecycle.delete(service, actor=ACTOR)
    assert not lifecycle.delete(service, actor=ACTOR)
    with pytest.raises(Conflict, match="deleted"):
        lifecycle.update(service, actor=ACTOR, fields={"description": "x"})

    assert not Rule.objects.exists()
    assert [action for action, _ in history("orders")] == ["created", "deleted"]


@pytest.mark.parametrize(
    "fields",
    [{"cost": 0}, {"cost": 1001}, {"position": 0}, {"path": "a"}, {"needs": ""}, {"methods": ()}],
)
def test_the_database_refuses_impossible_rules(fields: dict[str, Any]) -> None:
    service = lifecycle.create("orders", actor=ACTOR, rules=ONE)
    row = {"position": 1, "methods": ("GET",), "path": "/", "needs": "public", "cost": 1}

    with pytest.raises(IntegrityError), transaction.atomic():
        Rule.objects.create(service=service, **(row | fields))


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_both_count() -> None:
    service = lifecycle.create("orders", actor=ACTOR, rules=ONE)
    barrier = threading.Barrier(2)

    def change(**arguments: Any) -> None:
        barrier.wait()
        lifecycle.update(service, actor=ACTOR, **arguments)
        connection.close()

    threads = [
        threading.Thread(target=change, kwargs={"fields": {"description": "x"}}),
        threading.Thread(target=change, kwargs={"fields": {}, "rules": TWO}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = Service.objects.get()
    assert (stored.revision, stored.description) == (3, "x")
    assert stored.rule_lines == TWO
