"""The live tail answers what is new within the filters, and nothing while there is nothing."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from database.uuid7 import first_id_at
from logs.admin.live_tail import MAX_NEW_ROWS
from logs.models import RequestLog
from tests.support.factories import client_of, issue, make_decision, make_request, make_staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:logs_requestlog_changelist")


@pytest.fixture
def staff() -> Client:
    """Somebody who may only look."""
    return client_of("Auditor")


def tail(client: Client, after: RequestLog, query: str = "") -> Any:
    return client.get(f"{reverse('admin:logs_requestlog_tail', args=(after.pk,))}?{query}")


def ids(answer: Any) -> list[str]:
    return [str(row.pk) for row in answer.context["cl"].result_list]


def old() -> RequestLog:
    return make_request(id=first_id_at(timezone.now() - timedelta(minutes=1)))


def test_new_rows_come_newest_first_within_the_filters(staff: Client) -> None:
    last = old()
    one, other = make_request(method="GET"), make_request(method="DELETE")

    assert ids(tail(staff, last)) == [str(other.pk), str(one.pk), str(last.pk)]
    assert ids(tail(staff, last, "method=DELETE")) == [str(other.pk)]


def test_nothing_is_answered_until_there_is_another_row(staff: Client) -> None:
    last = old()
    first = tail(staff, last)
    tag = first.context["cl"].tag

    unchanged = tail(staff, last, f"tag={tag}")
    make_request()
    changed = tail(staff, last, f"tag={tag}")

    assert (first.status_code, unchanged.status_code, changed.status_code) == (200, 204, 200)


def test_a_request_that_took_long_is_found_behind_younger_ones(staff: Client) -> None:
    now = timezone.now()
    last = make_request(id=first_id_at(now))
    late = make_request(id=first_id_at(now - timedelta(seconds=3)))

    assert str(late.pk) in ids(tail(staff, last))


def test_what_comes_at_once_is_bounded(staff: Client) -> None:
    last = old()
    for _ in range(MAX_NEW_ROWS + 5):
        newest = make_request()

    found = ids(tail(staff, last))

    assert len(found) == MAX_NEW_ROWS
    assert found[0] == str(newest.pk)


def test_the_tail_is_for_those_who_may_see_requests() -> None:
    client = Client()
    client.force_login(make_staff())
    log = make_request()

    assert tail(client, log).status_code == 403
    assert client.get(reverse("admin:logs_requestlog_curl", args=(log.pk,))).status_code == 403


def test_what_is_no_filter_is_refused(staff: Client) -> None:
    assert tail(staff, make_request(), "nothing=1").status_code == 400


@pytest.mark.parametrize(
    ("query", "is_offered"), [("", True), ("method=GET", True), ("p=before-x", False),
                              ("at_to_0=2026-01-01", False)]
)  # fmt: skip
def test_a_list_that_gets_no_new_rows_offers_no_tail(
    staff: Client, query: str, is_offered: bool
) -> None:
    make_request()

    assert ("data-tail=" in staff.get(f"{LIST}?{query}").content.decode()) is is_offered


def test_a_row_links_to_those_of_its_key_with_its_code_and_copies_its_command(
    staff: Client,
) -> None:
    key = issue().key
    refused = make_request(key=key, status=429, code="rate_limited")
    make_request(key=key)
    verified = make_decision(key=key, caller=issue().key)

    page = staff.get(LIST)
    text = page.content.decode()
    command = staff.get(reverse("admin:logs_requestlog_curl", args=(refused.pk,)))

    same = f"?key__id__exact={key.pk}&amp;code=rate_limited"
    assert text.count(same) == 1
    assert f"?key__id__exact={key.pk}&amp;status_class=2" in text
    assert text.count("data-copies-from") == 2
    assert [
        str(row.pk)
        for row in staff.get(LIST + same.replace("&amp;", "&")).context["cl"].result_list
    ] == [str(refused.pk)]
    assert command.content.decode() == "curl http://localhost/api/production/v1/key"
    assert staff.get(reverse("admin:logs_requestlog_curl", args=(verified.pk,))).status_code == 404


def test_requests_for_the_documentation_are_left_out_unless_they_are_asked_for(
    staff: Client,
) -> None:
    docs = make_request(path="/api/docs", environment=None, route="api/docs")
    schema = make_request(path="/api/schema", environment=None, route="api/schema")
    other = make_request()

    def listed(query: str = "") -> set[str]:
        return {str(row.pk) for row in staff.get(f"{LIST}?{query}").context["cl"].result_list}

    assert listed() == {str(other.pk)}
    assert listed("docs=shown") == {str(docs.pk), str(schema.pk), str(other.pk)}
    assert listed(f"q={docs.pk}") == {str(docs.pk)}
    assert listed("q=/api/schema") == {str(schema.pk)}


def test_an_id_of_no_time_has_nothing_after_it(staff: Client) -> None:
    make_request()

    assert ids(staff.get(reverse("admin:logs_requestlog_tail", args=(UUID(int=2**128 - 1),)))) == []
