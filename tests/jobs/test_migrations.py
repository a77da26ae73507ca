"""What an upgrade makes of the jobs there are."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

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


def test_the_key_becomes_nullable_and_its_foreign_key_stays(is_postgresql: bool) -> None:
    with connection.cursor() as cursor:
        kept = connection.introspection.get_constraints(cursor, "jobs_job")
        columns = connection.introspection.get_table_description(cursor, "jobs_job")

    assert ("apikeys_apikey", "id") in [one["foreign_key"] for one in kept.values()]
    assert [one.null_ok for one in columns if one.name == "key_id"] == [True]
    if is_postgresql:
        # By the catalogue alone: a foreign key that is added again reads the table.
        (statement,) = statements_of("0009_jobs_without_a_key")
        assert statement == 'ALTER TABLE "jobs_job" ALTER COLUMN "key_id" DROP NOT NULL;'


def statements_of(name: str) -> list[str]:
    """Return what the first operation of a migration executes."""
    loader = MigrationExecutor(connection).loader
    migration = loader.get_migration("jobs", name)
    before = loader.project_state(migration.dependencies[-1])
    after = migration.mutate_state(before.clone())
    with connection.schema_editor(collect_sql=True) as editor:
        migration.operations[0].database_forwards("jobs", editor, before, after)
    return [line for line in editor.collected_sql if not line.startswith("--")]
