"""Where a request's time went: measured, shipped, shown."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from apikeys.permissions import Permission
from logs.admin.waterfall import bars_of
from logs.capture.spool import Spool
from logs.models import RequestLog
from logs.shipping.shipper import Shipper
from tests.support.api_client import Caller, EdgeCaller, record_of
from tests.support.factories import issue, make_decision, make_request, make_staff, record_line

pytestmark = pytest.mark.django_db


def phases_of(answer: Any) -> list[int]:
    record = record_of(answer)
    assert record.phases is not None
    phases = [int(text) for text in record.phases.split(",")]
    assert sum(phases) <= record.duration
    return phases


def test_an_admitted_request_names_the_time_of_each_phase() -> None:
    lookup, limiter, view, record = phases_of(Caller(issue()).get("key"))

    assert min(lookup, limiter, view, record) > 0


def test_a_request_that_is_refused_before_its_limits_has_no_limiter_and_no_view() -> None:
    lookup, limiter, view, record = phases_of(Caller(issue(), environment="staging").get("key"))

    assert lookup > 0
    assert record > 0
    assert (limiter, view) == (0, 0)


@pytest.mark.parametrize("kind", [Caller, EdgeCaller])
def test_a_verified_key_takes_the_lookups_and_the_limiters_of_both_keys(kind: Any) -> None:
    caller = kind(issue(permissions=[Permission.KEYS_VERIFY]))
    asked = caller.post("keys/verify", {"key": issue().credential})
    unknown = caller.post("keys/verify", {"key": "none"})

    assert min(phases_of(asked)) > 0
    # The caller's own.
    assert min(phases_of(unknown)) > 0


def test_records_from_before_there_were_phases_are_shipped_beside_those_with_them(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, 10**9)
    lines = [record_line(phases="1,2,3,4"), record_line()]
    # As versions before wrote them: the last two fields are not there.
    spool.append(lines[0])
    spool.append(orjson.dumps(orjson.loads(lines[1])[:-2]))
    shipper = Shipper(tmp_path)

    shipper.ship()
    shipper.close()

    ids = [orjson.loads(line)[0] for line in lines]
    stored = dict(RequestLog.objects.filter(pk__in=ids).values_list("pk", "phases"))
    assert {str(pk): phases for pk, phases in stored.items()} == {ids[0]: "1,2,3,4", ids[1]: None}


def test_the_bars_of_a_request_fill_its_duration_in_order() -> None:
    bars = bars_of(make_request(duration=2000, phases="500,100,1000,200"))

    assert [(bar.name, bar.milliseconds, bar.x, bar.width) for bar in bars] == [
        ("rest", 0.2, 0, 100),
        ("lookup", 0.5, 100, 250),
        ("limiter", 0.1, 350, 50),
        ("view", 1.0, 400, 500),
        ("record", 0.2, 900, 100),
    ]


def test_a_bar_stays_within_the_picture_however_the_clock_was_set() -> None:
    for phases in ("0,0,0,0", "5000,0,0,0", "1,1,1,1997", "0,0,2000,1"):
        for bar in bars_of(make_request(duration=2000, phases=phases)):
            assert 0 <= bar.x <= bar.x + bar.width <= 1000


def test_the_page_shows_where_the_time_went_where_that_is_known() -> None:
    staff = Client()
    staff.force_login(make_staff("Auditor"))
    logs = [
        make_request(phases="500,100,800,50"),
        make_request(),
        make_decision(phases="500,100,800,50"),
    ]

    pages = [
        staff.get(reverse("admin:logs_requestlog_change", args=(log.pk,))).content.decode()
        for log in logs
    ]

    assert ["Where its 1.5 ms went" in page for page in pages] == [True, False, True]
    assert ["Decision</th>" in page for page in pages] == [False, False, True]
