"""The public schema and its page."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from jsonschema import Draft202012Validator

from apikeys.guard import problems, throttling
from config.admin_site.roles import ROLES
from config.openapi_views import SchemaView
from tests.config.test_routes import ENDPOINTS
from tests.support.factories import make_staff

GUIDE = Path(__file__).parents[2] / "docs/api.md"
HTTP = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema as a caller gets it."""
    response = Client().get("/api/schema")
    assert response.status_code == 200
    return json.loads(response.content)


def test_it_is_openapi_3_1(schema: Any) -> None:
    assert schema["openapi"].startswith("3.1")
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "header"}


def test_it_says_where_it_is_served_and_whom_to_ask(schema: Any) -> None:
    info = schema["info"]

    assert schema["servers"] == [{"url": "/", "description": "This installation."}]
    assert info["contact"]["name"]
    assert info["license"]["name"]
    assert info["license"]["identifier"]


def test_the_introduction_tells_what_holds_for_every_request(schema: Any) -> None:
    introduction = schema["info"]["description"]

    for word in ("Authorization: Bearer", "X-API-Key", "Retry-After", "X-Request-ID", "cursor"):
        assert word in introduction
    for path in re.findall(r"GET (\S+)`", introduction):
        assert "get" in schema["paths"][path]


def test_each_tag_of_an_operation_is_described_and_no_other(schema: Any) -> None:
    described = {tag["name"] for tag in schema["tags"] if tag["description"]}
    used = {
        tag
        for operations in schema["paths"].values()
        for operation in operations.values()
        for tag in operation["tags"]
    }

    assert described == used


def test_every_operation_is_there_with_its_permission(schema: Any) -> None:
    described = {
        (re.sub(r"\{(\w+)\}", r"<\1>", path).removeprefix("/api/<environment>/v1/"), method.upper())
        for path, operations in schema["paths"].items()
        for method in operations
        if method in HTTP
    }
    declared = {
        (re.sub(r"<\w+:(\w+)>", r"<\1>", path), method)
        for path, view in ENDPOINTS.items()
        for method in view.operations
        if method != "HEAD"
    }

    assert described == declared
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert "Permission:" in operation["description"]


def test_every_operation_names_the_problems_any_call_may_get(schema: Any) -> None:
    shared = schema["components"]["responses"]
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert {"400", "401", "404", "429", "500", "503"} <= set(operation["responses"])
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    described = shared[answer["$ref"].rpartition("/")[2]]
                    assert set(described["content"]) == {problems.MEDIA_TYPE}
                    for code in described["content"][problems.MEDIA_TYPE]["examples"].values():
                        assert code["value"]["status"] == int(status)


def test_either_way_of_sending_a_key_will_do(schema: Any) -> None:
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert operation["security"] == [{"bearer": []}, {"header": []}]


BODIES = [
    (method, path) for path, view in ENDPOINTS.items()
    for method, operation in view.operations.items() if operation.body
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_the_example_of_a_body_is_one_that_is_accepted(method: str, path: str) -> None:
    body = ENDPOINTS[path].operations[method].body

    read = body(data=body.example, partial=method == "PATCH")

    assert read.is_valid(), read.errors


def test_the_example_of_an_answer_is_what_the_schema_describes(schema: Any) -> None:
    seen = 0
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    if kind != "application/json":
                        continue
                    assert content["examples"], (operation["operationId"], status)
                    described = {"components": schema["components"], **content["schema"]}
                    for example in content["examples"].values():
                        Draft202012Validator(described).validate(example["value"])
                        seen += 1
    assert seen >= 20


# What an answer has in some cases only; of a problem, what belongs to its code.
SOMETIMES_THERE = {
    "IssuedKey": {"hand_over_url"},
    "Introspection": {
        "scope", "client_id", "username", "token_type", "exp", "iat", "sub", "iss", "environment",
    },
    "Problem": {
        "errors", "error_count", "required_permission", "required_customer_scope",
        "required_customer", "exceeded", "violated_policies", "key_environment",
        "endpoint_environment",
    },
}  # fmt: skip


def test_a_field_of_an_answer_is_required_if_it_is_always_there(schema: Any) -> None:
    answers = [
        *schema["components"]["responses"].values(),
        *(
            answer
            for operations in schema["paths"].values()
            for operation in operations.values()
            for answer in operation["responses"].values()
        ),
    ]
    schemas = schema["components"]["schemas"]
    missing = {}
    seen: set[str] = set()
    names = _references(answers)
    while names:
        seen |= names
        names = set().union(*(_references(schemas[name]) for name in names)) - seen
    for name in seen:
        absent = schemas[name].get("properties", {}).keys() - set(schemas[name].get("required", ()))
        if absent:
            missing[name] = absent

    assert missing == SOMETIMES_THERE


def test_a_field_that_a_body_may_leave_out_is_not_required(schema: Any) -> None:
    schemas = schema["components"]["schemas"]

    assert schemas["CustomerInput"]["required"] == ["name"]
    assert "required" not in schemas["PatchedCustomerInput"]


def _references(part: Any) -> set[str]:
    """Return the names of the schemas that a part of the document refers to."""
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs")

    assert page.status_code == 200
    assert not re.findall(rb'(?:src|href)="(?:https?:)?//', page.content)
    for asset in re.findall(rb'(?:src|href)="(/static/[^"]+)"', page.content):
        assert Client().get(asset.decode()).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
def test_the_page_is_linked_from_the_admin_for_every_role(role: str) -> None:
    client = Client()
    client.force_login(make_staff(role))

    page = client.get(reverse("admin:index")).text

    assert re.search(r'<a[^>]+href="/api/docs"', page)


def test_the_guide_and_the_schema_name_the_draft_whose_fields_are_sent(schema: Any) -> None:
    (draft,) = re.findall(r"draft-ietf-httpapi-ratelimit-headers-\d+", throttling.__doc__ or "")

    for text in (schema["info"]["description"], GUIDE.read_text()):
        assert set(re.findall(r"draft-ietf-httpapi-ratelimit-headers-\d+", text)) == {draft}


def test_the_schema_is_drawn_once_for_many_who_ask_at_once() -> None:
    def ask(_: int) -> tuple[int, bytes]:
        answer = Client(raise_request_exception=False).get("/api/schema")
        return answer.status_code, answer.content

    SchemaView._drawn.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(ask, range(8)))

    assert {status for status, _ in answers} == {200}
    assert len(answers) == 1
    assert len(SchemaView._drawn) == 1
