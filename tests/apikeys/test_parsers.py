"""Requests are JSON in UTF-8, query and body; what says or holds anything else is refused."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils.module_loading import import_string

from tests.support.api_client import Caller
from tests.support.factories import issue, make_customer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("Application/JSON", 201),
        ("application/json; charset=utf-8", 201),
        ('application/json;charset="UTF-8"', 201),
        ("application/json; profile=x", 201),
        ("*/*", 415),
        ("application/*", 415),
        ("*/json", 415),
        ("*", 415),
        ("application/json; charset=iso-8859-1", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=hex", 415),
        ("application/json; charset=no-such", 415),
        ("application/json; charset=", 415),
        ("application/json; charset=utf-8; charset=latin-1", 415),
        ("application/json; charset=latin-1; charset=utf-8", 415),
        ("application/json; charset*=latin-1''latin-1", 415),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_is_json_in_utf_8(content_type: str, status: int) -> None:
    caller = Caller(issue(permissions=["customers:write"]))

    answer = caller.post("customers", '{"name": "Müller"}'.encode(), content_type=content_type)

    assert answer.status_code == status
    if status == 415:
        assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "query", ["name=%FF", "name=%E9", "name=a%C3", "name=%ED%A0%80", "name=\xff", "%FF=1"]
)
def test_a_query_that_is_not_utf_8_is_400(query: str) -> None:
    caller = Caller(issue(permissions=["customers:read"]))

    answer = caller.get("customers", QUERY_STRING=query)

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == ["query"]


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep the test's connection, which Django's own test client keeps too."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def get(path: str, content_type: str, *, query: str, credential: str = "") -> tuple[str, bytes]:
    """Send a request as the web server hands it over; return the status and the body."""
    statuses: list[str] = []
    # Loaded here: it opens the connection pool, which must name the test's own database.
    application = import_string("config.wsgi.application")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": content_type,
        "HTTP_X_API_KEY": credential,
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    body = b"".join(application(environ, lambda status, headers: statuses.append(status)))
    return statuses[0][:3], body


# The last two Django cannot take apart.
OTHER = [
    "text/plain; charset=latin-1",
    "text/plain; charset=utf-16",
    "text/plain; charset=hex",
    "text/plain; charset=no-such",
    "text/plain; charset*=no-such''x",
    "text/plain; charset*=utf-8''%00",
]


@pytest.mark.parametrize("content_type", OTHER)
def test_an_address_is_utf_8_whatever_charset_the_header_names(content_type: str) -> None:
    made = make_customer(name="Müller")
    credential = issue(permissions=["customers:read"]).credential

    path, query = "/api/production/v1/customers", "name=M%C3%BCller"
    status, body = get(path, content_type, query=query, credential=credential)
    page, _ = get("/admin/login/", content_type, query="next=/admin/%3Fq=%C3%BC")

    assert (status, page) == ("200", "200")
    assert [row["id"] for row in json.loads(body)["data"]] == [str(made.pk)]
