"""What the compiled answers say, beside REST framework and the public schema."""

import json
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.db.models.expressions import RawSQL
from jsonschema import Draft202012Validator
from rest_framework.renderers import JSONRenderer as PlainRenderer
from rest_framework.serializers import CharField, ModelSerializer

from apikeys.guard import statements
from apikeys.guard.answers import JSONRenderer, represent, representation
from apikeys.guard.isolation import visible_columns
from customers.customers.serializers import CustomerSerializer
from customers.licenses.serializers import ActivationSerializer, LicenseSerializer
from customers.models import Activation, Customer, License, TelemetryEvent
from customers.telemetry.serializers import TelemetrySerializer
from database.circuit_breaker import CircuitBreaker
from jobs.models import Job
from jobs.serializers import JobDetailSerializer, JobSerializer
from logs.models import RequestLog
from logs.serializers import LogDetailSerializer, LogSerializer
from tests.support.factories import (
    issue,
    make_activation,
    make_customer,
    make_event,
    make_job,
    make_license,
    make_request,
)

pytestmark = pytest.mark.django_db

# What parsers and databases like to change: forms of numbers, characters, and order.
ODD = {
    "z": 10**200,
    "a": [1e16, 1e-7, -0.0, 0.1, 5e-324],
    "\u2028é😀": '"\\/\b\x1f\x7f\u2029',
    "": {"n": None, "t": True, "e": {}},
}
SHOWN: dict[Any, Any] = {
    CustomerSerializer: Customer,
    LicenseSerializer: License,
    ActivationSerializer: Activation,
    TelemetrySerializer: TelemetryEvent,
    JobSerializer: Job,
    JobDetailSerializer: Job,
    LogSerializer: RequestLog,
    LogDetailSerializer: RequestLog,
}


@pytest.fixture
def rows() -> None:
    """Make rows of everything that is answered, with values and with nothing."""
    customer = make_customer(metadata=ODD, name="Ünïcode", external_reference="1")
    license_ = make_license(customer, metadata=ODD)
    make_customer()
    make_activation(customer)
    make_event(customer, properties=ODD, license=license_, event_id="1")
    make_event(customer)
    key = issue().key
    make_job(key, params=ODD).attempts.create(number=1, worker="w", error="é")
    make_job(key, status="succeeded", result={"customers": 1}, file_name="a", done=1, total=1)
    make_request(key=key, customer=customer, code="not_found", status=404, job_id=license_.pk)
    make_request(key=key)


def plain(data: Any) -> bytes:
    """Write as REST framework does, without blanks."""
    written: bytes = PlainRenderer().render(data)
    return written


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("serializer", SHOWN)
def test_a_compiled_answer_is_what_the_serializer_answers(serializer: Any) -> None:
    for row in SHOWN[serializer].objects.all():
        for is_redacted in (False, True):
            row.is_redacted = is_redacted

            compiled = JSONRenderer().render(represent(serializer, row))

            assert compiled == plain(serializer(row).data)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    "serializer", [CustomerSerializer, ActivationSerializer, TelemetrySerializer]
)
def test_columns_say_what_rows_say(serializer: Any) -> None:
    form, key = representation(serializer), issue().key
    queryset = SHOWN[serializer].objects.order_by("pk")

    lines = statements.read(queryset.values_list(*form.columns))

    written = [plain(serializer(row).data) for row in queryset]
    assert [JSONRenderer().render(form.of_columns(line)) for line in lines] == written
    for row, text in zip(queryset, written, strict=True):
        alone = visible_columns(SHOWN[serializer], key, row.pk, form.columns)
        assert JSONRenderer().render(form.of_columns(alone)) == text


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("serializer", SHOWN)
def test_a_compiled_answer_is_what_the_schema_declares(serializer: Any, tmp_path: Any) -> None:
    call_command("spectacular", file=str(tmp_path / "schema"), format="openapi-json")
    schema = json.loads((tmp_path / "schema").read_text())
    name = serializer.__name__.removesuffix("Serializer")
    declared = {"components": schema["components"], "$ref": f"#/components/schemas/{name}"}
    validator = Draft202012Validator(declared, format_checker=Draft202012Validator.FORMAT_CHECKER)

    for row in SHOWN[serializer].objects.all():
        answer = orjson.loads(JSONRenderer().render(represent(serializer, row)))

        validator.validate(answer)
        assert list(answer) == list(schema["components"]["schemas"][name]["properties"])


def test_every_character_is_written_as_rest_framework_writes_it() -> None:
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000), 0x1F600]))

    assert JSONRenderer().render({text: text}) == plain({text: text})


def test_what_orjson_cannot_write_is_written_all_the_same() -> None:
    data = {"n": 2**64, "i": {1: 2}}

    assert JSONRenderer().render(data) == plain(data)


def test_a_media_type_may_ask_for_an_indent() -> None:
    media_type = "application/json; indent=2"

    written = JSONRenderer().render({"a": orjson.Fragment("[1]")}, media_type)

    assert written == PlainRenderer().render({"a": [1]}, media_type)


class LoudField(CharField):
    """A field that answers otherwise than its value."""

    def to_representation(self, value: Any) -> str:
        return str(value).upper()


class LoudSerializer(ModelSerializer[Customer]):
    """Declares such a field."""

    name = LoudField()

    class Meta:
        model = Customer
        fields = ["id", "name"]


def test_a_field_that_represents_its_value_is_asked() -> None:
    customer = make_customer(name="quiet")

    assert represent(LoudSerializer, customer)["name"] == "QUIET"
    assert representation(LoudSerializer).columns == ()


def test_a_list_that_fails_stops_no_other_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread that has no connection would refuse its next request, whatever that asks."""
    breaker = CircuitBreaker()
    monkeypatch.setattr(statements, "_breaker", breaker)
    broken: Any = Customer.objects.annotate(n=RawSQL("no_such_function(1)", ())).values_list("n")

    with pytest.raises(DatabaseError), transaction.atomic():
        statements.read(broken)

    assert not breaker.is_open
