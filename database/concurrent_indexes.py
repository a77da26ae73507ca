"""An index that is made while its table is read and written; migrations of large tables use it.

A table with partitions cannot be indexed so. Its index is made without them, which takes a moment,
and then takes in an index of each of them that was made so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently as _AddIndexConcurrently
from django.db.migrations import AddIndex

IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)"
# Those of a table that have no part in an index of it.
PARTITIONS = """
SELECT part.inhrelid::regclass::text, relname FROM pg_inherits AS part
JOIN pg_class ON pg_class.oid = part.inhrelid
WHERE part.inhparent = to_regclass(%s) AND NOT EXISTS (
    SELECT FROM pg_inherits AS attached JOIN pg_index ON indexrelid = attached.inhrelid
    WHERE attached.inhparent = to_regclass(%s) AND indrelid = part.inhrelid
)
"""


class AddIndexConcurrently(_AddIndexConcurrently):
    """Django's, and a usual one on SQLite; its migration says ``atomic = False``."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if _is_partitioned(schema_editor, model):
            self._add_to_partitions(schema_editor, model)
            return
        with _unhurried(schema_editor):
            # One that was cut off leaves its index behind, which is not used and is kept up.
            name = schema_editor.quote_name(self.index.name)
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        is_postgresql = schema_editor.connection.vendor == "postgresql"
        if not is_postgresql or _is_partitioned(schema_editor, model):
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
            return
        with _unhurried(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _add_to_partitions(self, editor: Any, model: Any) -> None:
        bare_table, bare_name = model._meta.db_table, self.index.name
        table, name = editor.quote_name(bare_table), editor.quote_name(bare_name)
        definition = str(self.index.create_sql(model, editor)).partition(f" ON {table} ")[2]
        # Whoever was cut off goes on where the index has no part.
        editor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {definition}")
        for partition, bare in _asked(editor, PARTITIONS, [table, name]):
            part = editor.quote_name(f"{bare_name}{bare.removeprefix(bare_table)}")
            with _unhurried(editor):
                editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {part}")
                editor.execute(f"CREATE INDEX CONCURRENTLY {part} ON {partition} {definition}")
            editor.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")


def _is_partitioned(editor: Any, model: Any) -> bool:
    rows = _asked(editor, IS_PARTITIONED, [editor.quote_name(model._meta.db_table)])
    return rows == [(True,)]


def _asked(editor: Any, question: str, values: list[str]) -> list[tuple[Any, ...]]:
    with editor.connection.cursor() as cursor:
        cursor.execute(question, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


@contextmanager
def _unhurried(editor: Any) -> Iterator[None]:
    """Wait for those who use the table, a backup for instance, for as long as they do.

    Nobody waits for what waits here, unlike for a lock that is taken to alter a table.
    """
    editor.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        editor.execute("RESET lock_timeout")
