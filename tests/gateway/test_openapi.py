"""Rules from OpenAPI documents: which request needs what, and what is refused."""

import json
import re
from typing import Any

import pytest
import yaml
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from config.urls import endpoints
from database.refusals import Refused
from gateway.openapi import MAX_BYTES, read_document, rules_of
from gateway.patterns import split_path
from gateway.rules import compile_rules, first_match

OK: dict[str, Any] = {"responses": {"200": {"description": "Done"}}}


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "A", "version": "1"}, "paths": paths, **more}


def lines(paths: dict[str, Any], **more: Any) -> list[str]:
    body = json.dumps(document(paths, **more)).encode()
    return [str(rule) for rule in rules_of(read_document(body), service="shop")]


def test_an_operation_is_a_rule() -> None:
    assert lines({"/orders": {"get": OK, "post": OK}, "/orders/{id}": {"delete": OK}}) == [
        "GET,HEAD /orders orders:read",
        "POST /orders orders:write",
        "DELETE /orders/{id} orders:write",
    ]


def test_an_operation_may_name_its_permission() -> None:
    paths = {
        "/a": {"get": OK | {"x-permission": "orders:read"}},
        "/b": {"get": OK | {"x-permission": "any-key"}},
        "/c": {"get": OK | {"x-permission": "public"}},
    }

    assert lines(paths) == [
        "GET,HEAD /a orders:read", "GET,HEAD /b any-key", "GET,HEAD /c public",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "needs", ["", "orders", "cost=5", "a:b c:d", 5, True, ["a:b"], {}, "a:b\n"]
)
def test_a_permission_that_is_none_is_refused(needs: Any) -> None:
    with pytest.raises(Refused, match=r"The x-permission of GET /a is none\. Write"):
        lines({"/a": {"get": OK | {"x-permission": needs}}})


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/orders", "orders"),
        ("/api/v1/orders/{id}", "orders"),
        ("/API/v2.1/{tenant}/orders", "orders"),
        ("/v1beta1/2024-01-31/orders", "orders"),
        ("/Order%20Items", "order-items"),
        ("/OrderItems", "orderitems"),
        ("/order+items", "order-items"),
        ("/_orders", "orders"),
        ("/orders_of.a-day", "orders_of.a-day"),
        ("/{id}", "shop"),
        ("/", "shop"),
        ("/api/v1", "shop"),
        ("/é", "shop"),
        (f"/{'o' * 39}-rders", "o" * 39),
    ],
)
def test_the_resource_is_the_first_segment_that_names_one(path: str, resource: str) -> None:
    assert lines({path: {"get": OK}}) == [f"GET,HEAD {path} {resource}:read"]


def test_reading_is_told_from_the_rest() -> None:
    methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"]

    rules = lines({"/a": dict.fromkeys(methods, OK)})

    assert sorted(rules) == [
        "DELETE /a a:write", "GET /a a:read", "HEAD /a a:read", "OPTIONS /a a:read",
        "PATCH /a a:write", "POST /a a:write", "PUT /a a:write", "QUERY /a a:write",
        "TRACE /a a:write",
    ]  # fmt: skip


def test_head_that_another_path_declares_is_not_taken_by_get() -> None:
    rules = lines({"/a/{x}": {"get": OK}, "/a/{y}": {"head": OK | {"x-permission": "b:c"}}})

    assert rules == ["GET /a/{x} a:read", "HEAD /a/{y} b:c"]


def test_any_rest_stands_after_what_it_takes_too() -> None:
    paths = ["/**", "/files/**", "/{any}/**", "/files/{id}", "/files", "/files/admin", "/{any}"]

    assert [line.split()[1] for line in lines({path: {"put": OK} for path in paths})] == [
        "/files", "/files/admin", "/files/{id}", "/files/**", "/{any}", "/{any}/**", "/**",
    ]  # fmt: skip


def test_the_more_literal_path_stands_first() -> None:
    paths = ["/{any}/mine", "/orders/{id}", "/orders/{id}/lines", "/orders/mine", "/{a}/{b}"]

    rules = lines({path: {"get": OK} for path in paths})

    assert [rule.split()[1] for rule in rules] == [
        "/orders/mine", "/orders/{id}", "/orders/{id}/lines", "/{any}/mine", "/{a}/{b}",
    ]  # fmt: skip


PATHS = st.lists(
    st.lists(st.sampled_from(["a", "b", "{x}"]), min_size=1, max_size=4).map(tuple),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


@given(PATHS)
def test_the_first_rule_that_matches_is_no_wider_than_another(paths: list[tuple[str, ...]]) -> None:
    rules = rules_of(document({f"/{'/'.join(path)}": {"get": OK} for path in paths}), service="s")
    compiled = compile_rules(rules)

    for path in paths:
        # A literal path is its own first match; with a placeholder, of what fits nothing else.
        request = "/" + "/".join("zzz" if part == "{x}" else part for part in path)
        segments = split_path(request)
        assert segments is not None
        found = first_match(compiled, "GET", segments)
        assert found is not None
        assert found.path == f"/{'/'.join(path)}"


@pytest.mark.parametrize(
    ("servers", "prefix"),
    [
        ([], ""),
        ([{"url": "/"}], ""),
        ([{"url": "/v1/"}], "/v1"),
        ([{"url": "https://api.example.com"}], ""),
        ([{"url": "https://api.example.com/shop/v2/"}, {"url": "/other"}], "/shop/v2"),
        ([{"url": "https://{host}/{base}/x",
           "variables": {"host": {"default": "a"}, "base": {"default": "api"}}}], "/api/x"),
        ([{"url": "/{tenant}"}], "/{tenant}"),
    ],
)  # fmt: skip
def test_the_path_of_the_first_server_is_put_before(servers: Any, prefix: str) -> None:
    assert lines({"/orders": {"get": OK}}, servers=servers) == [
        f"GET,HEAD {prefix}/orders orders:read"
    ]


def test_a_path_item_is_followed_within_the_document() -> None:
    paths = {"/a": {"$ref": "#/components/pathItems/A"}, "/b": {"$ref": "#/paths/~1a", "put": OK}}

    rules = lines(paths, components={"pathItems": {"A": {"get": OK}}})

    assert rules == ["GET,HEAD /a a:read", "GET,HEAD /b b:read", "PUT /b b:write"]


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        ({"/a": {"$ref": "#/paths/~1a"}}, "refers to itself"),
        ({"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}}, "refers to itself"),
        ({"/a": {"$ref": "other.yaml#/a"}}, "outside of the document"),
        ({"/a": {"$ref": "https://example.com/a"}}, "outside of the document"),
        ({"/a": {"$ref": 5}}, "outside of the document"),
        ({"/a": {"$ref": "#/nowhere/at/all"}}, "'#/nowhere/at/all' is not a mapping"),
        ({"/a": None}, "'/a' is not a mapping"),
        ({"/a": {"get": []}}, "'GET /a' is not a mapping"),
        ([], "'paths' is not a mapping"),
        ({}, "no operation"),
        ({"x-internal": {"get": OK}}, "no operation"),
        ({"/a": {"summary": "Nothing"}}, "no operation"),
        ({"orders": {"get": OK}}, "begin with a slash"),
        ({"/a/{id}.json": {"get": OK}}, "whole segment"),
        ({"/a/../b": {"get": OK}}, "two ways"),
        ({"/a b:read": {"get": OK | {"x-permission": "any-key"}}}, "%20"),
        ({"/a/{x}": {"get": OK}, "/a/{y}": {"get": OK}}, "GET /a/{x} and GET /a/{y} take the same"),
        ({"/a": {"get": OK}, "/a/": {"get": OK}}, "GET /a and GET /a/ take the same"),
        ({f"/a{number}": {"get": OK} for number in range(2001)}, "2,001 operations"),
    ],
)
def test_what_makes_no_rules_is_refused_in_two_sentences(paths: Any, why: str) -> None:
    with pytest.raises(Refused, match=r"\w.*\. [A-Z].*\.$") as refused:
        lines(paths)

    assert why in str(refused.value)


@pytest.mark.parametrize("url", ["v1", "./v1", "api.example.com/v1"])
def test_a_server_beside_the_document_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="slash"):
        lines({"/a": {"get": OK}}, servers=[{"url": url}])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read: it holds 0 documents"),
        (b"just text", "not an OpenAPI document"),
        (b"[]", "not an OpenAPI document"),
        (b'{"paths": {}}', "not an OpenAPI document"),
        (b'{"swagger": "2.0", "paths": {}}', "Swagger 2"),
        (b"swagger: '2.0'", "Swagger 2"),
        (b"openapi: 2.0.0", "OpenAPI '2.0.0'"),
        (b"openapi: 30", "OpenAPI '30'"),
        (b"openapi: {a: b}", "This is OpenAPI"),
        (b'{"openapi": "3.1.0", "openapi": "3.1.0"}', "twice"),
        (b'{"openapi": ', "Write it as plain JSON"),
        (b"openapi: 3.1.0\npaths: &a [*a]", "alias"),
        (b"openapi: !!python/name:os.system 3", "tag"),
        (b"openapi: 3.1.0\npaths:\n  /a: {}\n  /a: {}\n", "twice"),
        (b" " * (MAX_BYTES + 1), "larger than 16 MB"),
    ],
)
def test_what_is_no_openapi_3_is_refused_in_two_sentences(body: bytes, why: str) -> None:
    with pytest.raises(Refused, match=r"(?s)\w.*\. [A-Z].*\.$") as refused:
        read_document(body)

    assert why in str(refused.value)


def test_json_and_yaml_are_read_alike() -> None:
    written = document({"/a": {"get": OK}}, servers=[{"url": "/v1"}], openapi="3.0.3")

    as_json = b"\xef\xbb\xbf" + json.dumps(written).encode()
    as_yaml = yaml.safe_dump(written).encode()

    assert read_document(as_json) == read_document(as_yaml) == written
    assert read_document(b"openapi: 3.1\npaths: {}")


def test_the_products_own_schema_makes_a_rule_of_each_endpoint() -> None:
    rules = rules_of(read_document(Client().get("/api/schema").content), service="latchkey")
    compiled = compile_rules(rules)

    declared = [
        (method, str(pattern.pattern))
        for pattern in endpoints
        for method in pattern.callback.view_class.operations
    ]
    assert len(declared) > 20
    for method, path in declared:
        segments = split_path("/api/production/v1/" + re.sub("<[^>]*>", "x", path))
        assert segments is not None
        found = first_match(compiled, method, segments)
        assert found is not None, (method, path)
        action = "read" if method in {"GET", "HEAD", "OPTIONS"} else "write"
        assert found.needs == f"{path.split('/')[0]}:{action}"
