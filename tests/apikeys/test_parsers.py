"""Requests are JSON in UTF-8, query and body; what says or holds anything else is refused."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils.module_loading import import_string
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from rest_framework.fields import SkipField, empty
from rest_framework.serializers import ValidationError

from apikeys.guard.problems import ErrorList, Problem, as_problem
from apikeys.guard.serializers import NotRead, StrictSerializer, shared_serializer, validated
from customers.telemetry.serializers import EventInput, TelemetryInput
from jobs.registry import job_types
from jobs.types.customers import ImportRow
from tests.config.test_routes import ENDPOINTS
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
    # It would close the test's connection, also in later tests with Django's own client.
    for signal in (request_started, request_finished):
        signal.disconnect(import_string("config.wsgi._close_connection"))
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


def declared() -> list[tuple[type[StrictSerializer], bool]]:
    """Each serializer of what is sent, bodies to items of lists, and whether it is partial."""
    operations = [one for view in ENDPOINTS.values() for one in view.operations.items()]
    readers = {(one.body, method == "PATCH") for method, one in operations if one.body}
    readers |= {(one.query, False) for _, one in operations}
    readers |= {(kind.params, False) for kind in job_types().values()}
    readers |= {(ImportRow, False), (EventInput, False)}
    return sorted(readers - {(TelemetryInput, False)}, key=lambda one: (one[0].__name__, one[1]))


DECLARED = pytest.mark.parametrize(("reader", "partial"), declared())
VALID: dict[str, dict[str, Any]] = {
    "ImportParams": {"rows": [{"name": "Northwind", "external_reference": "1"}]},
    "ImportRow": {"name": "Müller", "email": "a@b.example", "external_reference": " 1 "},
    "IssueParams": {"customers": [str(UUID(int=1))], "product": "Pro", "seats": 2},
    "EventInput": {
        "customer": str(UUID(int=1)),
        "license": None,
        "type": "app.started",
        "event_id": " 1 ",
        "occurred_at": "2026-01-31T10:00:00+02:00",
        "properties": {"pages": 3},
    },
}
ODD: st.SearchStrategy[Any] = st.sampled_from([
    None, True, 0, 1, -1, 2.5, 10**20, "", " ", "x", "\0", "\ud800", "é" * 300, "a\u202eb", "1",
    "00", "2999-01-01T00:00:00Z", "2020-01-01T00:00:00z", "2026-02-30T00:00:00Z", str(UUID(int=2)),
    UUID(int=3).hex, "active", "a@b.example", [], [[]], [{}], {}, {"a": 1}, {"a": "x" * 8200},
])  # fmt: skip


def changed(value: Any) -> st.SearchStrategy[Any]:
    """Values like ``value``, most of them wrong somewhere."""
    ways = [st.just(value), ODD]
    if isinstance(value, dict):
        members = {name: changed(inner) for name, inner in value.items()} | {"nope": ODD}
        changes = st.fixed_dictionaries({}, optional=members)
        without = st.sampled_from(["", *value])
        ways += 2 * [
            st.builds(
                lambda new, name: {n: v for n, v in (value | new).items() if n != name},
                changes,
                without,
            )
        ]
    if isinstance(value, list):
        ways.append(st.lists(st.one_of([changed(inner) for inner in value]), max_size=3))
    return st.one_of(ways)


def example(reader: type[StrictSerializer]) -> dict[str, Any]:
    fields = dict.fromkeys(reader().fields, "x")
    return VALID.get(reader.__name__) or getattr(reader, "example", fields)


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (Problem, ValidationError) as error:
        return as_problem(error).body("")
    except UnicodeEncodeError:
        # Half of a surrogate pair within an object: the parser refuses it, so no reader sees it,
        # and which of several faults is found first is of no account.
        reject()


@DECLARED
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_sent_is_read_as_rest_framework_reads_it(
    reader: type[StrictSerializer], partial: bool, data: st.DataObject
) -> None:
    class Plain(reader):  # type: ignore[misc, valid-type]
        def read_valid(self, data: Any) -> Any:
            raise NotRead

    body = data.draw(changed(example(reader)))
    plain = Plain(data=body, partial=partial)

    def read_plainly() -> Any:
        plain.is_valid(raise_exception=True)
        return plain.validated_data

    assert outcome(lambda: validated(reader, body, partial=partial)) == outcome(read_plainly)


@settings(max_examples=300)
@given(changed(VALID["EventInput"]))
def test_an_event_is_read_as_rest_framework_reads_its_fields(item: Any) -> None:
    errors, expected = ErrorList(), ErrorList()
    fields, values = EventInput().fields, {}
    if isinstance(item, dict):
        expected.add_unknown(item, fields.keys(), prefix="events[0].")
        for name, field in fields.items():
            value = empty if item.get(name) is None else item[name]
            try:
                with suppress(SkipField):
                    values[name] = field.run_validation(value)
            except ValidationError as error:
                message, *_ = error.detail
                expected.add(f"events[0].{name}", str(message))
            except UnicodeEncodeError:
                # Half of a surrogate pair within an object, which the parser refuses.
                reject()
    else:
        expected.add("events[0]", "This must be a JSON object.")

    read = EventInput().read(item, "events[0]", errors)

    assert (errors.named, errors.count) == (expected.named, expected.count)
    assert errors.count or read == values


@DECLARED
def test_what_is_valid_is_not_left_to_rest_framework(
    reader: type[StrictSerializer], partial: bool
) -> None:
    if reader.__name__ in VALID or hasattr(reader, "example"):
        assert shared_serializer(reader, partial).read_valid(example(reader))
