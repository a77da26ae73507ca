"""``import_service``, as an operator or a script runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apikeys import catalogue
from apikeys.models import CustomPermission
from audit.models import Event
from gateway import lifecycle
from gateway.models import Service
from gateway.rules import parse_rules
from tests.support.command_line import Run
from tests.support.factories import ACTOR

pytestmark = pytest.mark.django_db

YAML = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: https://shop.example/v1}]
paths:
  /orders/{id}:
    get: {responses: {}}
  /orders/mine:
    get: {responses: {}, x-permission: orders:mine}
"""
RULES = ["GET,HEAD /v1/orders/mine orders:mine", "GET,HEAD /v1/orders/{id} orders:read"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A document in YAML."""
    path = tmp_path / "shop.yaml"
    path.write_text(YAML)
    return str(path)


def test_a_service_is_made_from_a_document(run: Run, file: str) -> None:
    code, out, err = run("import_service", "shop", "--openapi", file, "--json")

    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "name": "shop",
        "created": True,
        "permissions": ["orders:mine", "orders:read"],
        "difference": [f"+ {rule}" for rule in RULES],
        "dry_run": False,
    }
    assert [str(rule) for rule in Service.objects.get().rule_lines] == RULES
    assert catalogue.find("orders:mine").label == "Orders Mine"
    assert list(
        Event.objects.filter(object_type="gateway.service").values_list("action", "source")
    ) == [("created", "command")]


def test_the_rules_of_a_service_are_replaced(run: Run, file: str) -> None:
    catalogue.create("orders:read", actor=ACTOR, label="Order Read")
    before = parse_rules([RULES[1], "* /** any-key"])
    lifecycle.create("shop", actor=ACTOR, description="Ours", rules=before)

    out = run("import_service", "shop", "--openapi", file)[1]
    again = run("import_service", "shop", "--openapi", file)[1]

    assert out.splitlines() == [
        "+ permission orders:mine",
        f"+ {RULES[0]}",
        "- * /** any-key",
        "shop has 2 rules.",
    ]
    assert again == "shop has 2 rules.\n"
    service = Service.objects.get()
    assert (service.description, service.revision) == ("Ours", 2)
    assert [str(rule) for rule in service.rule_lines] == RULES


@pytest.mark.parametrize("is_there", [False, True])
def test_a_dry_run_shows_the_difference_and_writes_nothing(
    run: Run, file: str, is_there: bool
) -> None:
    if is_there:
        lifecycle.create("shop", actor=ACTOR, rules=parse_rules([RULES[0]]))
    before = [list(model.objects.values()) for model in (Service, CustomPermission, Event)]

    code, out, _ = run("import_service", "shop", "--openapi", file, "--dry-run")

    assert code == 0
    assert f"+ {RULES[1]}" in out.splitlines()
    assert "+ permission orders:read" in out.splitlines()
    assert out.endswith("shop would have 2 rules.\n")
    after = [list(model.objects.values()) for model in (Service, CustomPermission, Event)]
    assert after == before


def test_the_products_own_schema_is_imported(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "latchkey.json"
    path.write_bytes(Client().get("/api/schema").content)

    outcome: dict[str, Any] = json.loads(
        run("import_service", "latchkey", "--openapi", str(path), "--json")[1]
    )

    assert "+ GET,HEAD /api/{environment}/v1/customers customers:read" in outcome["difference"]
    # Of the built-in permissions some are named, and none is made.
    assert "licenses:write" in outcome["permissions"]
    assert "customers:write" not in outcome["permissions"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Shop", YAML),
        ("shop", "swagger: '2.0'"),
        ("shop", YAML.replace("orders:mine", "mine")),
        ("shop", YAML.replace("{id}", "mi{n}e")),
        ("shop", "a: &a [*a]"),
        ("shop", "a: !!python/object/apply:os.system [\x1b]"),
        ("shop", "openapi: 3.1.0\npaths: {'/a\u202eb': {get: {}}}"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_document_that_is_refused_changes_nothing(
    run: Run, tmp_path: Path, name: str, text: str, options: list[str]
) -> None:
    path = tmp_path / "document"
    path.write_text(text)

    code, out, err = run("import_service", name, "--openapi", str(path), *options)

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.strip("\n").isprintable()
    assert not Service.objects.exists()
    assert not CustomPermission.objects.exists()


@pytest.mark.parametrize("path", ["", "/no/such/file", "/"])
def test_a_file_that_cannot_be_read_is_one_line(run: Run, path: str) -> None:
    code, out, err = run("import_service", "shop", "--openapi", path)

    assert (code, out) == (2, "")
    assert "cannot be read: " in err
    assert err.count("\n") == 1
