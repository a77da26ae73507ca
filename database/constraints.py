"""The constraint that keeps environments apart below the application."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, models


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
