"""The constraint that keeps environments apart below the application, and one that is dropped."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, models
from django.db.migrations import AlterField


class SameEnvironment(models.BaseConstraint):
    """A foreign key over (``field``, environment): a parent of another environment is refused.

    Django has no composite foreign keys. Written as a constraint it is part of the table on
    both databases, SQLite's rebuilt tables included. The parent needs a unique constraint
    over (id, environment).
    """

    def __init__(self, *, field: str, name: str) -> None:
        super().__init__(name=name)
        self.field = field

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        child = model._meta.get_field(self.field)
        parent = child.remote_field.model._meta.db_table
        return (
            f"CONSTRAINT {quote(self.name)}"
            f" FOREIGN KEY ({quote(child.column)}, {quote('environment')})"
            f" REFERENCES {quote(parent)} ({quote('id')}, {quote('environment')})"
            " DEFERRABLE INITIALLY DEFERRED"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(
        self, model: Any, instance: Any, exclude: Any = None, using: str = DEFAULT_DB_ALIAS
    ) -> None:
        """Leave it to the database: no form offers a parent of another environment."""

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field}

    def __eq__(self, other: object) -> bool:
        """Two with the same name and field are one, so that no migration repeats it."""
        if not isinstance(other, SameEnvironment):
            return NotImplemented
        return (self.name, self.field) == (other.name, other.field)

    def __hash__(self) -> int:
        return hash((self.name, self.field))


class DropNotNull(AlterField):
    """Django's, for a field that changes in nothing but ``null``.

    Of a foreign key Django drops the constraint and adds it again, and PostgreSQL reads the table
    under a lock meanwhile. This changes the catalogue alone.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._alter(app_label, schema_editor, from_state, to_state, "DROP")

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._alter(app_label, schema_editor, from_state, to_state, "SET")

    def _alter(self, app_label: str, editor: Any, before: Any, after: Any, verb: str) -> None:
        if editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, editor, before, after)
            return
        model = after.apps.get_model(app_label, self.model_name)
        table = editor.quote_name(model._meta.db_table)
        column = editor.quote_name(model._meta.get_field(self.name).column)
        editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} {verb} NOT NULL")
