"""What Django asks of a backend; it has this name because Django loads it by this name.

An id is a number of 128 bits: ClickHouse's UUIDs are ordered by their second half, and the ids of
requests have their time in the first.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from clickhouse_connect.driver import exceptions
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.client import BaseDatabaseClient
from django.db.backends.base.creation import BaseDatabaseCreation
from django.db.backends.base.features import BaseDatabaseFeatures
from django.db.backends.base.introspection import BaseDatabaseIntrospection
from django.db.backends.base.operations import BaseDatabaseOperations

from database.clickhouse.connection import Connection


class DatabaseFeatures(BaseDatabaseFeatures):
    """Neither transactions nor constraints."""

    supports_transactions = False
    uses_savepoints = False
    has_native_uuid_field = True
    supports_foreign_keys = False
    can_introspect_foreign_keys = False


class DatabaseOperations(BaseDatabaseOperations):
    """ClickHouse's spelling."""

    def quote_name(self, name: str) -> str:
        return name if name.startswith('"') else f'"{name}"'

    def get_db_converters(self, expression: Any) -> list[Any]:
        converters = super().get_db_converters(expression)
        kind = expression.output_field.get_internal_type()
        own = {"UUIDField": _identifier, "DateTimeField": _in_utc}.get(kind)
        return [*converters, own] if own else converters

    def adapt_datetimefield_value(self, value: Any) -> Any:
        return value and value.astimezone(UTC)

    def no_limit_value(self) -> None:
        return None


class DatabaseCreation(BaseDatabaseCreation):
    """Nothing is made here, in tests neither."""

    def set_as_test_mirror(self, primary_settings_dict: Any) -> None:
        return None


class DatabaseWrapper(BaseDatabaseWrapper):
    """A connection of Django's."""

    vendor = "clickhouse"
    display_name = "ClickHouse"
    Database = exceptions
    client_class = BaseDatabaseClient
    creation_class = DatabaseCreation
    features_class = DatabaseFeatures
    introspection_class = BaseDatabaseIntrospection
    ops_class = DatabaseOperations
    operators = {
        "exact": "= %s", "gt": "> %s", "gte": ">= %s", "lt": "< %s", "lte": "<= %s",
        "contains": "LIKE %s", "startswith": "LIKE %s", "endswith": "LIKE %s",
    }  # fmt: skip

    def get_connection_params(self) -> dict[str, Any]:
        known = self.settings_dict
        return {
            "host": known["HOST"],
            "port": known["PORT"],
            "username": known["USER"],
            "password": known["PASSWORD"],
            "database": known["NAME"],
            "secure": known["OPTIONS"]["is_secure"],
        }

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        return Connection(conn_params)

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor()

    def init_connection_state(self) -> None:
        return None

    def is_usable(self) -> bool:
        return True

    def _set_autocommit(self, autocommit: bool) -> None:
        return None

    def _commit(self) -> None:
        return None

    def _rollback(self) -> None:
        return None


def _identifier(value: Any, expression: Any, connection: Any) -> UUID | None:
    return None if value is None else UUID(int=value)


def _in_utc(value: datetime | None, expression: Any, connection: Any) -> datetime | None:
    return value and value.replace(tzinfo=UTC)
