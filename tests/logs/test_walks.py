"""A list by several filters looks at a bounded number of requests, and says how far it looked."""

import json
from copy import copy
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from database.uuid7 import new_id
from logs import export, walks
from logs.models import RequestLog
from tests.support.factories import client_of, make_request

pytestmark = pytest.mark.django_db

LIST = reverse("admin:logs_requestlog_changelist")
FILTERS = "method=POST&status_class=5"


@pytest.fixture
def staff(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody who may only look, at lists that look at four rows for a page."""
    monkeypatch.setattr(walks, "MAX_WALKED", 4)
    return client_of("Auditor")


def make_mixed() -> list[str]:
    """Make requests of which few fit ``FILTERS``; return the ids of those, newest first."""
    wanted = [str(make_request(method="POST", status=503).pk)]
    for _ in range(6):
        make_request(method="POST")
        make_request(status=503)
    wanted.append(str(make_request(method="POST", status=503).pk))
    for _ in range(5):
        make_request(method="POST")
        make_request(status=503)
    return wanted[::-1]


def test_all_rows_are_found_by_looking_further_back(staff: Client) -> None:
    wanted = make_mixed()
    found: list[str] = []
    address: str | None = f"?{FILTERS}"
    pages = 0

    while address:
        page = staff.get(LIST + address).context["cl"]
        found += [str(row.pk) for row in page.result_list]
        address, pages = page.older, pages + 1

    assert found == wanted
    assert 3 <= pages <= 5


def test_all_rows_are_found_by_looking_at_newer_ones(staff: Client) -> None:
    wanted = make_mixed()
    oldest = RequestLog.objects.order_by("pk")[0]
    found: list[str] = []
    address: str | None = f"?{FILTERS}&p=after-{oldest.pk}"

    while address:
        page = staff.get(LIST + address).context["cl"]
        found = [str(row.pk) for row in page.result_list] + found
        address = page.newer

    assert found == wanted[:-1]


def test_an_empty_page_says_that_there_may_be_more(staff: Client) -> None:
    make_mixed()

    text = staff.get(f"{LIST}?{FILTERS}").content.decode()

    assert "Nothing found so far" in text
    assert "Look further back" in text
    assert "Nothing fits" not in text


def test_a_rare_filter_is_looked_through_whole(staff: Client) -> None:
    for _ in range(9):
        make_request(method="POST")
    wanted = make_request(method="POST", status=503, code="unavailable")
    for _ in range(9):
        make_request(method="POST")

    page = staff.get(f"{LIST}?method=POST&code=unavailable").context["cl"]

    assert [row.pk for row in page.result_list] == [wanted.pk]
    assert (page.older, page.counted_since, page.ends_at) == (None, None, None)
    missing = staff.get(f"{LIST}?method=DELETE&code=unavailable").content.decode()
    assert "Nothing fits these filters" in missing


@pytest.fixture
def never_met() -> None:
    """Many requests to a service and many with a code, none of which are the same."""
    request = make_request()
    requests = [copy(request) for _ in range(2000)]
    for number, one in enumerate(requests):
        one.pk = new_id()
        one.service, one.code = (None, "unavailable") if number % 2 else ("orders", "")
    RequestLog.objects.bulk_create(requests)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE logs_requestlog")


@pytest.mark.usefixtures("never_met")
@pytest.mark.parametrize("is_ascending", [True, False])
def test_the_index_of_the_filter_that_is_chosen_is_walked(is_ascending: bool) -> None:
    rows = RequestLog.objects.filter(service="orders", code="unavailable").order_by("-pk")
    conditions = rows.query.where.children

    for condition, index in zip(conditions, ("code", "service"), strict=True):
        chosen = walks._along(rows, condition, conditions, is_ascending=is_ascending)

        plan = chosen[:50].explain()
        # A partition's index has a name of its own.
        assert f"request_by_{index} " in plan or f"_{index}_id_idx " in plan, plan
        assert "Sort" not in plan.replace("Sort Key", "")
        assert "TEMP B-TREE" not in plan


def test_filters_that_never_meet_are_counted_as_far_as_was_looked(staff: Client) -> None:
    for _ in range(3):
        make_request(method="POST", status=503)
    make_mixed()
    for _ in range(2):
        make_request(method="POST", status=503)

    page = staff.get(f"{LIST}?{FILTERS}")

    assert page.context["cl"].counted == 2
    assert "at least 2" in page.content.decode()
    assert "2 requests since" in page.content.decode()


def test_a_search_by_path_goes_on_where_it_stopped(staff: Client) -> None:
    wanted = make_request(path="/api/production/v1/customers/7")
    for _ in range(9):
        make_request()

    page = staff.get(f"{LIST}?q=customers/7").context["cl"]
    while page.older:
        page = staff.get(LIST + page.older).context["cl"]

    assert [row.pk for row in page.result_list] == [wanted.pk]


def test_an_export_holds_what_a_page_would_not_reach(staff: Client) -> None:
    wanted = make_mixed()

    answer = staff.get(f"{reverse('admin:logs_requestlog_export', args=['ndjson'])}?{FILTERS}")

    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [json.loads(line)["id"] for line in lines] == wanted


@pytest.mark.usefixtures("staff")
def test_an_export_reads_each_walk_to_its_end(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(walks, "MAX_WALKED", 30)
    monkeypatch.setattr(export, "CHUNK", 2)
    wanted = [str(make_request(method="POST", status=503).pk) for _ in range(12)][::-1]
    rows = RequestLog.objects.filter(method="POST", status_class=5)

    # One question for where the walk ends, then one for each part.
    with django_assert_max_num_queries(1 + 7):
        exported = [str(row.pk) for chunk in export.chunks(rows) for row in chunk]

    assert exported == wanted
