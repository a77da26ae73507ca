"""The service commands, as an operator or a script runs them."""

import json

import pytest

from audit.models import Event
from gateway import lifecycle
from gateway.models import Service
from tests.support.command_line import Run
from tests.support.factories import ACTOR, issue

pytestmark = pytest.mark.django_db

DEFAULT_RULES = ["GET,HEAD,OPTIONS /** orders:read", "* /** orders:write"]


def test_a_service_is_made_shown_changed_listed_and_deleted(run: Run) -> None:
    made = json.loads(run("create_service", "orders", "--description", "Ours", "--json")[1])
    shown = json.loads(run("show_service", "orders", "--json")[1])
    changed = json.loads(
        run("update_service", "orders", "--rule", "GET /a any-key", "--disable", "--json")[1]
    )
    listed = json.loads(run("list_services", "--json")[1])
    deleted = run("delete_service", "orders")

    assert set(made) == {"name", "description", "enabled", "rules", "created_at", "updated_at"}
    assert (made["description"], made["enabled"], made["rules"]) == ("Ours", True, DEFAULT_RULES)
    assert shown == made
    assert (changed["enabled"], changed["rules"]) == (False, ["GET /a any-key"])
    assert listed == [changed]
    assert deleted == (0, "orders is deleted.\n", "")
    assert not Service.objects.exists()
    events = Event.objects.filter(object_type="gateway.service").order_by("id")
    assert list(events.values_list("action", "source")) == [
        ("created", "command"), ("disabled", "command"), ("deleted", "command"),
    ]  # fmt: skip


def test_a_service_is_printed_for_people(run: Run) -> None:
    run("create_service", "orders", "--rule", "GET,HEAD /a any-key cost=5")

    assert "  GET,HEAD /a any-key cost=5\n" in run("show_service", "orders")[1]
    assert run("list_services")[1].splitlines()[1].split() == ["orders", "yes", "1"]


def test_what_is_not_named_stays(run: Run) -> None:
    run("create_service", "orders", "--description", "Ours")
    run("update_service", "orders", "--disable")

    code, out, _ = run("update_service", "orders", "--enable", "--json")

    after = json.loads(out)
    assert code == 0
    assert (after["description"], after["enabled"], after["rules"]) == (
        "Ours", True, DEFAULT_RULES,
    )  # fmt: skip


def test_a_key_typed_for_a_name_is_not_repeated(run: Run) -> None:
    key = issue().credential

    code, _, err = run("create_service", key)

    assert code == 2
    assert key[-38:] not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["create_service"],
        ["create_service", "orders"],
        ["create_service", "Orders"],
        ["create_service", "new", "--rule", "GET /a"],
        ["create_service", "new", "--rule", "GET /a/../b any-key"],
        ["create_service", "new", "--description", "two\nlines"],
        ["update_service", "unknown", "--enable"],
        ["update_service", "orders", "--enable", "--disable"],
        ["update_service", "orders", "--rule", "GET /a any-key", "--rule", "x"],
        ["show_service", "unknown"],
        ["delete_service", "unknown\x1b[31m"],
        ["list_services", "orders"],
    ],
)
def test_bad_input_is_one_line_on_stderr_and_changes_nothing(
    run: Run, arguments: list[str]
) -> None:
    lifecycle.create("orders", actor=ACTOR)

    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.strip("\n").isprintable()
    service = Service.objects.get()
    assert (service.name, service.revision) == ("orders", 1)
