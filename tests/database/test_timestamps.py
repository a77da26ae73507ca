"""Times as callers write them (RFC 3339)."""

from datetime import UTC, datetime

import pytest

from database import timestamps
from tests.support.api_client import Caller
from tests.support.factories import issue, make_customer

FULL = ["customers:read", "licenses:manage", "telemetry:write", "telemetry:read"]


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2027-01-31T08:00:00Z", datetime(2027, 1, 31, 8, tzinfo=UTC)),
        ("2027-01-31t08:00:00z", datetime(2027, 1, 31, 8, tzinfo=UTC)),
        ("2027-01-31T10:00:00.25+02:00", datetime(2027, 1, 31, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("2027-01-31T08:00:00.123456789Z", datetime(2027, 1, 31, 8, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_time_with_its_zone_is_read(text: str, timestamp: datetime) -> None:
    assert timestamps.parse(text) == timestamp


WRONG = [
    "2027-01-31", "2027-01-31T00:00:00", "20270131T000000Z", "2027-W01-1T00:00:00Z",
    "2027-01-31T00Z", "2027-01-31T00:00:00+0200", "2027-02-30T00:00:00Z",
    "0001-01-01T00:00:00+01:00",
    "2027-01-31T00:00:00Z\n", "tomorrow", "", 7, None, True, [],
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="with its zone"):
        timestamps.parse(text)


@pytest.mark.django_db
def test_every_door_of_the_api_reads_times_so() -> None:
    caller, customer = Caller(issue(permissions=FULL)), str(make_customer().pk)
    license_ = {"customer": customer, "product": "P", "expires_at": "2999-01-01"}
    event = {"customer": customer, "type": "t", "occurred_at": "2026-01-01T00:00:00"}

    answers = [
        caller.post("licenses", license_),
        caller.post("telemetry", event),
        caller.post("telemetry", {"events": [event]}),
        caller.get("customers?created_after=2026-01-01"),
        caller.get("telemetry?occurred_before=2026-01-01T00:00:00"),
    ]

    assert [answer.status_code for answer in answers] == [400] * 5
    assert "with its zone" in answers[0].json()["errors"][0]["message"]


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["%205", "1.0", "%2B5", "%D9%A3", "0", "201"])
def test_a_limit_is_digits_from_1_to_200(limit: str) -> None:
    answer = Caller(issue(permissions=FULL)).get(f"customers?limit={limit}")

    assert answer.json()["errors"][0]["field"] == "limit"
