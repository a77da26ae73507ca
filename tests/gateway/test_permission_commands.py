"""The commands about permissions, as an operator or a script runs them."""

import json

import pytest

from apikeys import catalogue
from apikeys.models import ApiKey, CustomPermission
from audit.models import Event
from tests.support.command_line import Run
from tests.support.factories import ACTOR, issue

pytestmark = pytest.mark.django_db


def test_a_permission_is_created_listed_and_deleted(run: Run) -> None:
    made = run("create_permission", "orders:read", "--label", "Order Read", "--json")
    run("create_service", "shop", "--rule", "GET /a orders:read")
    issue(permissions=["orders:read", "jobs:run"])
    listed = {entry["code"]: entry for entry in json.loads(run("list_permissions", "--json")[1])}
    kept = run("delete_permission", "orders:read")
    run("create_permission", "a:b", "--label", "A", "--description", "Unused")
    deleted = json.loads(run("delete_permission", "a:b", "--json")[1])

    new = {
        "code": "orders:read", "label": "Order Read", "description": "", "built_in": False,
        "keys": 0, "services": [],
    }  # fmt: skip
    assert json.loads(made[1]) == new
    assert listed["orders:read"] == new | {"keys": 1, "services": ["shop"]}
    assert (listed["jobs:run"]["built_in"], listed["jobs:run"]["keys"]) == (True, 1)
    assert kept[0] == 2
    assert "is held by Key" in kept[2]
    assert deleted == {"code": "a:b", "deleted": True}
    events = Event.objects.filter(object_type="apikeys.custompermission").order_by("id")
    assert list(events.values_list("action", "source")) == [
        ("created", "command"), ("created", "command"), ("deleted", "command"),
    ]  # fmt: skip


def test_permissions_are_printed_for_people(run: Run) -> None:
    created = run("create_permission", "orders:read", "--label", "Order Read")
    lines = run("list_permissions")[1].splitlines()

    assert created == (0, "orders:read is created.\n", "")
    assert lines[1].split() == ["customers:read", "Customer", "Read", "yes", "0"]
    assert lines[-1].split() == ["orders:read", "Order", "Read", "no", "0"]
    assert run("delete_permission", "orders:read")[1] == "orders:read is deleted.\n"


def test_a_key_is_given_a_custom_permission_and_shown_with_its_label(run: Run) -> None:
    catalogue.create("orders:read", actor=ACTOR, label="Order Read")

    made = run(
        "create_api_key", "Shop", "--environment", "staging", "--permission", "orders:read",
        "--json",
    )  # fmt: skip
    key = ApiKey.objects.get()
    run("update_api_key", key.pk, "--add-permission", "jobs:run")

    assert json.loads(made[1])["permissions"] == ["orders:read"]
    assert "Job Run, Order Read" in run("show_api_key", key.pk)[1]
    assert "Job Run, Order Read" in run("list_api_keys")[1]
    run("update_api_key", key.pk, "--remove-permission", "orders:read")
    assert ApiKey.objects.get().permissions == ("jobs:run",)


@pytest.mark.parametrize(
    "arguments",
    [
        ["create_permission", "a:b"],
        ["create_permission", "orders:read", "--label", "Again"],
        ["create_permission", "jobs:run", "--label", "Built in"],
        ["create_permission", "orders", "--label", "No code"],
        ["create_permission", "a:b", "--label", "two\nlines"],
        ["create_permission", "a:b\x1b[31m", "--label", "A"],
        ["delete_permission", "jobs:run"],
        ["delete_permission", "a:b"],
        ["list_permissions", "a:b"],
    ],
)
def test_bad_input_is_one_line_on_stderr_and_changes_nothing(
    run: Run, arguments: list[str]
) -> None:
    catalogue.create("orders:read", actor=ACTOR, label="Order Read")

    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.strip("\n").isprintable()
    assert (
        CustomPermission.objects.count()
        == Event.objects.filter(object_type="apikeys.custompermission").count()
        == 1
    )
