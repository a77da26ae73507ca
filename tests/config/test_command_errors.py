"""What an operator reads when the database was not set up, and when a statement is wrong."""

import pytest
from django.db import DatabaseError, connection

from config.command_errors import describe_outage

pytestmark = pytest.mark.django_db


def failure_of(statement: str) -> DatabaseError:
    with connection.cursor() as cursor, pytest.raises(DatabaseError) as caught:
        cursor.execute(statement)
    return caught.value


def test_a_missing_table_says_that_the_database_was_not_set_up() -> None:
    outage = describe_outage(failure_of("SELECT 1 FROM missing"))

    assert outage == "The database has not been set up. Run `manage.py migrate` first."


@pytest.mark.parametrize("statement", ["SELECT gone FROM apikeys_apikey", "SELECT gone()"])
def test_a_missing_column_or_function_is_a_defect(statement: str) -> None:
    assert describe_outage(failure_of(statement)) is None
