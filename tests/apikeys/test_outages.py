"""A missing table is an outage, a wrong statement a defect: on both databases."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.support.api_client import Caller
from tests.support.factories import issue, make_staff

pytestmark = pytest.mark.django_db


def change(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("table", ["customers_customer", "apikeys_apikey"])
def test_a_missing_table_is_503_under_the_api(table: str) -> None:
    caller = Caller(issue(permissions=["customers:read"]))
    change(f"ALTER TABLE {table} RENAME TO gone")

    answer = caller.get("customers")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer["Retry-After"]) > 0


def test_a_missing_table_is_503_on_a_page() -> None:
    visitor = Client(raise_request_exception=False)
    visitor.force_login(make_staff(is_superuser=True))
    change("ALTER TABLE customers_customer RENAME TO gone")

    answer = visitor.get(reverse("admin:customers_customer_changelist"))

    assert answer.status_code == 503
    assert "Wait a moment and load the page again." in answer.text


def test_a_missing_column_is_a_defect() -> None:
    caller = Caller(issue(permissions=["customers:read"]))
    visitor = Client(raise_request_exception=False)
    visitor.force_login(make_staff(is_superuser=True))
    change("ALTER TABLE customers_customer RENAME COLUMN name TO gone")

    answers = [caller.get("customers")]
    if connection.vendor == "sqlite":
        # PostgreSQL takes nothing more in a transaction that failed.
        answers.append(visitor.get(reverse("admin:customers_customer_changelist")))

    assert {answer.status_code for answer in answers} == {500}
    assert answers[0].json()["code"] == "internal_error"
