"""What every endpoint does around its own work: order of checks, headers, the one error voice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from apikeys import lifecycle
from apikeys.guard.views import GuardedView
from apikeys.limiter import counters
from apikeys.limits import WINDOWS
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from apikeys.problem_codes import CODES
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer

pytestmark = pytest.mark.django_db


def remaining(response: Any) -> dict[str, int]:
    parts = [part.split(";") for part in response["RateLimit"].split(", ")]
    return {name.strip('"'): int(left.removeprefix("r=")) for name, left, _ in parts}


def test_a_good_answer_carries_the_policy_and_what_is_left() -> None:
    limits = {window: 60 * number for number, window in enumerate(WINDOWS, 1)}
    issued = issue(**{window.field: limit for window, limit in limits.items()})

    response = Caller(issued).get("key")

    policy, state = response["RateLimit-Policy"], response["RateLimit"]
    assert policy.startswith('"minute";q=60;w=60, "hour";q=120;w=3600, "day";q=180;w=86400')
    assert policy.split(", ") == [
        f'"{w.name}";q={limit};w={w.seconds}' for w, limit in limits.items()
    ]
    assert state.startswith('"minute";r=59;t=60, "hour";r=119;t=3600, "day";r=179;t=86400')
    assert state.split(", ") == [
        f'"{w.name}";r={limit - 1};t={w.seconds}' for w, limit in limits.items()
    ]
    assert response.json()["remaining"] == {w.name: limit - 1 for w, limit in limits.items()}
    assert response.json()["limits"] == {w.name: limit for w, limit in limits.items()}


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"limit_minute": 5, "limit_hour": 9}, ("5", "4", "60")),
        ({"limit_minute": 9, "limit_hour": 5}, ("5", "4", "3600")),
        ({"limit_minute": 5, "limit_hour": 5}, ("5", "4", "3600")),
        ({"limit_day": 1}, ("1", "0", "86400")),
    ],
)
def test_one_limit_is_told_alone_that_of_the_tightest_window(
    limits: dict[str, int], told: tuple[str, str, str]
) -> None:
    caller = Caller(issue(**limits))

    response = caller.get("key")

    names = ("Limit", "Remaining", "Reset")
    assert tuple(response[f"X-RateLimit-{name}"] for name in names) == told
    while caller.get("key").status_code == 200:
        pass
    refused = caller.get("key")
    assert (refused["X-RateLimit-Limit"], refused["X-RateLimit-Remaining"]) == (told[0], "0")
    assert not Caller(None).get("key").has_header("X-RateLimit-Limit")


def test_past_a_limit_the_answer_names_the_windows_and_the_wait() -> None:
    caller = Caller(issue(limit_minute=2, limit_hour=2))
    statuses = [caller.get("key").status_code for _ in range(2)]

    response = caller.get("key")

    assert statuses == [200, 200]
    assert response.status_code == 429
    assert response.json()["code"] == "rate_limited"
    assert response.json()["violated_policies"] == ["minute", "hour"]
    assert "limit per minute and hour is used up" in response.json()["detail"]
    assert 3590 <= int(response["Retry-After"]) <= 3600
    assert remaining(response)["minute"] == 0


def test_a_blocked_key_is_told_so() -> None:
    response = Caller(issue(limit_day=0)).get("key")

    assert response.status_code == 429
    assert response.json()["violated_policies"] == ["day"]
    assert (
        "takes 1 of the key's limit, which is 0 per day, so it never" in response.json()["detail"]
    )


def test_what_uses_nothing_up_and_what_counts() -> None:
    issued = issue(networks=["10.0.0.0/8"], limit_minute=100)
    key, inside = issued.key, Caller(issued)
    outside = Caller(issued, REMOTE_ADDR="192.0.2.1")

    assert remaining(outside.get("key"))["minute"] == 100
    assert remaining(inside.get("key"))["minute"] == 99
    assert Caller(issued, environment="staging").get("key").status_code == 401
    for response, status in [
        (inside.get("customers"), 403),
        (inside.get("nowhere"), 404),
        (inside.delete("key"), 405),
        (inside.get("key", HTTP_ACCEPT="text/html"), 406),
        (inside.get("key?x=1"), 400),
    ]:
        assert response.status_code == status
    assert remaining(inside.get("key"))["minute"] == 93
    lifecycle.update(key, actor=ACTOR, limit_minute=1)
    assert inside.get("key").status_code == 429
    lifecycle.update(key, actor=ACTOR, limit_minute=100)
    assert remaining(inside.get("key"))["minute"] == 92


def test_the_limit_comes_before_the_permission() -> None:
    caller = Caller(issue(limit_minute=1))

    assert [caller.get("customers").status_code for _ in range(2)] == [403, 429]


def test_a_missing_permission_is_named_and_the_object_does_not_matter() -> None:
    response = Caller(issue(permissions=["customers:write"])).get("customers")
    absent = Caller(issue()).get("customers/01a20788-3a4a-7000-9d64-4c64e6723ee9")

    assert response.status_code == absent.status_code == 403
    assert response.json()["code"] == "permission_denied"
    assert response.json()["required_permission"] == "customers:read"
    assert 'error="insufficient_scope"' in response["WWW-Authenticate"]
    assert response.json()["detail"] == absent.json()["detail"]


def test_a_narrowed_permission_binds_on_the_next_request() -> None:
    issued = issue(permissions=["customers:read"])
    caller = Caller(issued)
    assert caller.get("customers").status_code == 200

    lifecycle.update(issued.key, actor=ACTOR, permissions=[])

    assert caller.get("customers").status_code == 403


def test_a_method_that_is_not_there_is_405_with_those_that_are() -> None:
    response = Caller(issue()).delete("key")

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
    assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_head_is_get_without_a_body_and_options_names_the_methods() -> None:
    caller = Caller(issue())

    head, options = caller.call("HEAD", "key"), caller.call("OPTIONS", "customers")

    assert (head.status_code, head.content) == (200, b"")
    assert "RateLimit" in head
    assert (options.status_code, options["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert Caller().call("OPTIONS", "customers").status_code == 401


@pytest.mark.parametrize(
    "path", ["nowhere", "customers/", "customers/x/y", "", "key/%00", "key%0A", "x%0Ay"]
)
def test_a_path_that_is_nothing_needs_a_key_and_is_404(path: str) -> None:
    with_key, without = Caller(issue()).get(path), Caller().get(path)

    assert (with_key.status_code, with_key.json()["code"]) == (404, "not_found")
    assert without.status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/api/", "/api/nowhere", "/api/test/v1/key", "/api/production/v2/key", "/api/production/"],
)
def test_an_address_outside_every_environment_is_404_in_the_same_voice(path: str) -> None:
    response = Client().get(path)

    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


def test_an_environment_this_deployment_does_not_serve_is_404(tmp_path: Path) -> None:
    program = (
        "import django; django.setup(); from django.test import Client;"
        "get = Client(HTTP_HOST='localhost').get;"
        "print(*(get(f'/api/{name}/v1/key').json()['code'] for name in ('production', 'staging')))"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "LATCHKEY_VAR": str(tmp_path)}
    environment |= {"PATH": os.environ["PATH"], "API_ENVIRONMENTS": "production"}

    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )

    assert done.stdout.split() == ["key_missing", "not_found"], done.stderr


@pytest.mark.parametrize("path", ["/api/docs", "/nowhere", "/admin/login/"])
def test_a_page_runs_no_script_and_uses_no_style_that_is_written_into_it(path: str) -> None:
    answer = Client().get(path)

    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    # Alpine.js, which the admin has and the API's documents have not.
    assert ("'unsafe-eval'" in policy) == (path != "/api/docs")
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/api/schema", "/api/production/v1/key", "/api/x", "/healthz"])
def test_an_answer_that_is_no_page_loads_nothing_and_is_framed_nowhere(path: str) -> None:
    policy = Client().get(path)["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("path", ["/api/schema", "/api/production/v1/key", "/api/x"])
def test_the_api_sends_the_security_headers_of_pages(
    path: str, secure: bool, settings: Any
) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    page = Client().get("/healthz", secure=secure)
    own = {"Content-Type", "Content-Length", "X-Request-ID"}

    answer = Client().get(path, secure=secure)

    assert page.headers.items() - answer.headers.items() == {(n, page[n]) for n in own}
    assert int(answer["Content-Length"]) == len(answer.content)
    assert ("Strict-Transport-Security" in page) is secure


@pytest.mark.parametrize("path", ["/api/docs", "/api/production/v1/key", "/api/x"])
def test_the_api_passes_no_middleware_of_pages(path: str, settings: Any) -> None:
    pages = settings.MIDDLEWARE.index("apikeys.guard.middleware.ApiMiddleware") + 1
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:pages], f"{__name__}.refuse_all"]

    answer = Client().get(path, HTTP_COOKIE="csrftoken=invalid")

    assert Client().get("/healthz").status_code == 418
    assert answer.status_code != 418
    assert not answer.cookies


def refuse_all(get_response: Any) -> Any:
    """A middleware that lets nothing through."""
    return lambda request: HttpResponse(status=418)


def test_a_host_that_is_not_served_is_told_so_as_a_problem() -> None:
    response = Caller(issue()).get("key", HTTP_HOST="evil.example")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("debug", [False, True])
def test_nothing_under_the_api_is_a_page_even_while_debugging(settings: Any, debug: bool) -> None:
    settings.DEBUG = debug

    for path in ("/api/x", "/api/production/v1/x", "/api/%ff"):
        assert Client().get(path)["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "*/*",
        "",
        "application/*",
        "text/x;q=.5, */*",
        "application/problem+json",
        "text/html, application/problem+json; q=0.5",
    ],
)
def test_json_is_answered_to_whoever_takes_it(accept: str) -> None:
    assert Caller(issue()).get("key", HTTP_ACCEPT=accept).status_code == 200


@pytest.mark.parametrize("path", ["api/schema", "api/docs"])
def test_the_public_pages_speak_in_the_same_voice(path: str) -> None:
    client = Client()

    assert client.options(f"/{path}").status_code == 204
    for response in (
        client.post(f"/{path}"),
        client.put(f"/{path}"),
        client.get(f"/{path}", headers={"accept": "application/xml"}),
    ):
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
        assert response.status_code in {405, 406}


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b'{"bogus": 1}', "application/json", 400, "validation_failed"),
        (b"{not json", "application/json", 400, "malformed_body"),
        (b"x", "text/plain", 415, "unsupported_media_type"),
        (b"[" * 3_000_000, "application/json", 413, "body_too_large"),
        (b"{}", "application/json", 404, "not_found"),
        (b"", "text/plain", 404, "not_found"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "licenses/{}/suspend"), ("DELETE", "customers/{}")]
)
def test_a_body_that_nobody_asked_for_is_judged_like_any(
    method: str, path: str, body: bytes, kind: str, status: int, code: str
) -> None:
    caller = Caller(issue(permissions=list(Permission)))

    response = caller.call(method, path.format(uuid4()), body, content_type=kind)

    assert (response.status_code, response.json()["code"]) == (status, code)


def test_a_key_for_selected_customers_makes_none_whatever_it_sends() -> None:
    scoped = Caller(issue(permissions=["customers:write"], customers=[make_customer().pk]))

    for body in ({"name": "New"}, {"bogus": 1}):
        response = scoped.post("customers", body)
        assert response.status_code == 403
        assert response.json()["required_customer_scope"] == "all"
        assert 'error="insufficient_scope"' in response["WWW-Authenticate"]


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xml",
        "nonsense",
        "application/problem+json;q=0",
        "application/problem+json; Q=0.000, text/html",
        "text/html;x=application/problem+jsonx",
    ],
)
def test_json_is_not_answered_to_whoever_does_not(accept: str) -> None:
    response = Caller(issue()).get("key", HTTP_ACCEPT=accept)

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


def writer() -> Caller:
    return Caller(issue(permissions=["customers:read", "customers:write"]))


def test_a_body_that_is_not_json_by_its_type_is_415() -> None:
    response = writer().post(
        "customers", b"name=x", content_type="application/x-www-form-urlencoded"
    )

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_over_the_limit_is_413(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    exact = json.dumps({"name": "x"}).encode().ljust(100)

    fits, over = writer().post("customers", exact), writer().post("customers", exact + b" ")

    assert fits.status_code == 201
    assert (over.status_code, over.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ("text", "body"),
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "environment": "staging"}, "environment"),
        ({"name": "x", "email": "nope"}, "email"),
        ({"name": "x", "status": "closed"}, "status"),
        ({"name": "x", "metadata": []}, "metadata"),
        ({"name": "x", "metadata": {"a": "b" * 9000}}, "metadata"),
    ],
)
def test_a_field_that_does_not_fit_is_named(body: Any, field: str) -> None:
    response = writer().post("customers", body)

    assert response.status_code == 400
    assert response.json()["code"] == "validation_failed"
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%00", "cursor"),
        ("colour=red", "colour"),
        ("status=closed", "status"),
        ("created_after=yesterday", "created_after"),
        ("name=%00", "name"),
        ("format=json", "format"),
    ],
)
def test_a_query_that_does_not_fit_is_named(query: str, field: str) -> None:
    response = writer().get(f"customers?{query}")

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_defect_is_a_problem_without_its_cause() -> None:
    class Broken(GuardedView):
        def initial(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("the secret cause")

        def get(self, request: Any) -> Response:
            return Response()

    request = APIRequestFactory().get("/api/production/v1/broken")
    response = Broken.as_view()(request, environment="production")
    response.render()

    assert response.status_code == 500
    assert b"secret cause" not in response.content
    assert json.loads(response.content)["code"] == "internal_error"


def test_a_view_that_names_no_permission_is_refused() -> None:
    issued = issue(permissions=["customers:read"])

    class Unnamed(GuardedView):
        def get(self, request: Any, environment: str) -> Response:
            return Response({"leaked": True})

    headers = {"HTTP_AUTHORIZATION": f"Bearer {issued.credential}"}
    request = APIRequestFactory().get("/api/production/v1/unnamed", **headers)
    response = Unnamed.as_view()(request, environment="production")

    assert response.status_code == 403


def test_every_answer_carries_an_id_of_its_own_that_sorts_by_time() -> None:
    ids = [Client().get("/healthz")["X-Request-ID"] for _ in range(20)]

    assert ids == sorted(set(ids))


def test_the_guard_answers_without_the_request_log(settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith("logs.")]
    caller = Caller(issue())

    response = caller.get("key")
    unknown = caller.get("nothing")

    assert response.status_code == 200
    assert unknown.json()["request_id"] == unknown["X-Request-ID"]


def test_no_answer_may_be_kept_by_a_cache() -> None:
    assert Caller(issue()).get("key")["Cache-Control"] == "no-store"


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    body = Caller().get("key").json()

    assert set(body) == {"type", "title", "status", "detail", "code", "request_id"}
    assert set(CODES) >= {body["code"]}


def test_one_good_request_is_one_counter_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    store = counters()
    for name in ("hit", "peek"):
        real = getattr(store, name)
        monkeypatch.setattr(
            store, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1]
        )

    Caller(issue()).get("key")

    assert calls == ["hit"]
    assert ApiKey.objects.exists()


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("identity", 201), ("", 201)])
def test_a_body_with_a_content_coding_is_415(coding: str, status: int) -> None:
    caller = Caller(issue(permissions=["customers:write"]), HTTP_CONTENT_ENCODING=coding)

    response = caller.post("customers", {"name": "Plain"})

    assert response.status_code == status
    assert response.get("Accept-Encoding") == ("identity" if status == 415 else None)
