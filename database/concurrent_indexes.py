"""An index that is made while its table is read and written; migrations of large tables use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently as _AddIndexConcurrently
from django.db.migrations import AddIndex


class AddIndexConcurrently(_AddIndexConcurrently):
    """Django's, and a usual one on SQLite; its migration says ``atomic = False``."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        with _unhurried(schema_editor):
            # One that was cut off leaves its index behind, which is not used and is kept up.
            name = schema_editor.quote_name(self.index.name)
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
            return
        with _unhurried(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


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
