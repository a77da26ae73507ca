"""The tables of a database at a set of migrations, which may be older than this version's.

So a backup is made before an upgrade has migrated, and one of an older version is restored into the
tables that it was made of and migrated then.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from database.refusals import Refused
from operations.backups.rows import KIND_OF

# As Django names one: app and name.
Migration = tuple[str, str]

# Not in a backup. A session signs a person in, and one that was ended would be back; so would a
# hand-over link that was used, and make a secret again. Workers say anew that they live.
LEFT_OUT = {
    "django_session",
    "usersessions_usersession",
    "handover_handover",
    "jobs_worker",
}
# What ``migrate`` itself fills: a place with nothing else is empty.
PROVIDED = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
}


class Column(NamedTuple):
    """A column, and what it holds (``rows.KINDS``)."""

    name: str
    kind: str


class Table(NamedTuple):
    """A table; ``identity`` is the column that the database numbers, blank if there is none."""

    name: str
    columns: tuple[Column, ...]
    identity: str

    @property
    def kinds(self) -> list[str]:
        return [column.kind for column in self.columns]

    @property
    def column_list(self) -> str:
        return ", ".join(map(connection.ops.quote_name, (column.name for column in self.columns)))


def applied() -> list[Migration]:
    return sorted(MigrationRecorder(connection).applied_migrations())


def unknown(migrations: Sequence[Migration]) -> list[Migration]:
    """Return those that this version does not have."""
    return sorted(set(migrations) - set(_loader().disk_migrations))


def tables(migrations: Sequence[Migration]) -> list[Table]:
    """Return the tables at these migrations, but for those that no backup holds."""
    loader = _loader()
    known = [migration for migration in migrations if migration in loader.graph.nodes]
    models = loader.project_state(known).apps.get_models(include_auto_created=True)
    found = {model._meta.db_table: _table(model) for model in models if model._meta.managed}
    return [found[name] for name in sorted(found) if name not in LEFT_OUT]


def _loader() -> MigrationLoader:
    """Return the migrations of this version, whatever a database has."""
    return MigrationLoader(None)


def _table(model: Any) -> Table:
    fields = model._meta.concrete_fields
    identity = [field.column for field in fields if "AutoField" in field.get_internal_type()]
    columns = tuple(Column(field.column, _kind(field)) for field in fields)
    return Table(model._meta.db_table, columns, identity[0] if identity else "")


def _kind(field: Any) -> str:
    while field.remote_field:
        field = field.target_field
    return KIND_OF[field.get_internal_type()]


def require_empty() -> None:
    """Refuse a database that holds anything but what ``migrate`` puts there."""
    names = set(connection.introspection.table_names())
    ours = set(connection.introspection.django_table_names())
    if strangers := names - ours - {"django_migrations"}:
        raise Refused(
            f"The database has a table {min(strangers)!r} that this version does not know."
            " Name an empty database in DATABASE_URL, or an empty data folder in LATCHKEY_VAR."
        )
    with connection.cursor() as cursor:
        for name in sorted(names - PROVIDED):
            cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(name)} LIMIT 1")  # noqa: S608
            if cursor.fetchone():
                raise Refused(
                    f"The database is not empty: {name} has rows."
                    " Name an empty database in DATABASE_URL, or an empty data folder in"
                    " LATCHKEY_VAR."
                )


def drop_all() -> None:
    """Drop the tables of a database that is empty."""
    names = connection.introspection.table_names()
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for name in names:
            cascade = " CASCADE" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(name)}{cascade}")


def migrate_to(migrations: Sequence[Migration]) -> None:
    """Make the tables as they were at these migrations, in a database without any."""
    executor = MigrationExecutor(connection)
    nodes, wanted = executor.loader.graph.node_map, set(migrations)
    # The last of each app: Django takes the name of one before it for a wish to go back to that.
    ends = [node for node in migrations if not _followers(nodes[node], wanted)]
    executor.migrate(ends)


def _followers(node: Any, wanted: set[Migration]) -> list[Migration]:
    """Return the migrations of the same app that follow one."""
    of_app = (child.key for child in node.children if child.key[0] == node.key[0])
    return [key for key in of_app if key in wanted]


def empty(tables: Sequence[Table]) -> None:
    """Delete what the migrations put into the tables."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table.name)}")  # noqa: S608
