"""What an upgrade makes of the jobs there are."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from apikeys.permissions import Permission
from jobs.models import Job
from tests.support.api_client import Caller
from tests.support.factories import issue, make_customer

pytestmark = pytest.mark.django_db


def test_the_customers_of_all_jobs_are_counted_with_one_statement(
    django_assert_num_queries: Any,
) -> None:
    customers = [make_customer().pk for _ in range(2)]
    for key in (issue(permissions=list(Permission), customers=customers),
                issue(permissions=list(Permission))):  # fmt: skip
        Caller(key).post("jobs", {"type": "customers.export", "params": {}})
    Job.objects.update(customer_count=99)

    with django_assert_num_queries(1):
        import_module("jobs.migrations.0005_count_the_customers_of_a_job").count(apps, None)

    assert list(Job.objects.order_by("id").values_list("customer_count", flat=True)) == [2, None]
