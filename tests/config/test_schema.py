"""The public schema and its page."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from apikeys.guard import problems
from tests.config.test_routes import ENDPOINTS

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
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert {"400", "401", "404", "429", "500", "503"} <= set(operation["responses"])
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert set(answer["content"]) == {problems.MEDIA_TYPE}


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs")

    assert page.status_code == 200
    assert not re.findall(rb'(?:src|href)="(?:https?:)?//', page.content)
    for asset in re.findall(rb'(?:src|href)="(/static/[^"]+)"', page.content):
        assert Client().get(asset.decode()).status_code == 200
