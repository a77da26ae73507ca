"""Migrations since 1.0.0 lock no large table, and leave what the version before reads and writes.

Hosts are upgraded one after the other, so the version before serves while a migration runs and
after it. A change that it cannot live with takes two releases: the first stops using what the
second removes.
"""

import re
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED

from database.concurrent_indexes import AddIndexConcurrently
from database.constraints import DropNotNull

DUMP = Path(__file__).parent / "fixtures/version-1.0.0.sqlite.sql"
# They grow with the requests, or every request reads them; a lock on one of them stops requests or
# the worker.
LARGE = {"apikey", "requestlog", "keyusage", "telemetryevent", "event", "job"}
TAKES_AWAY = (
    ops.RemoveField,
    ops.RenameField,
    ops.RenameModel,
    ops.DeleteModel,
    ops.AlterModelTable,
)
# What 1.1.0 does in spite of the rules, and what that costs a host of 1.0.0 that still runs.
_MOVED = "it admits keys and answers reads; changes that it keeps events of are 503"
_NEW = "the table is new in 1.1.0 and holds what was moved"
ACCEPTED = {
    ("apikeys", "0007_move_events_to_audit"): _MOVED,
    ("apikeys", "0008_tags_owner_and_note"): _MOVED,
    ("apikeys", "0009_hand_over"): _MOVED,
    ("customers", "0008_move_events_to_audit"): _MOVED,
    ("gateway", "0002_move_events_to_audit"): _MOVED,
    ("jobs", "0007_move_events_to_audit"): _MOVED,
    ("jobs", "0008_delete_expiry_notices"): "it announces no expiry",
    ("audit", "0004_index_environment_and_source"): _NEW,
    ("audit", "0005_source_of_links"): _NEW,
    ("audit", "0006_events_by_kind"): _NEW,
}


def since_1_0_0() -> dict[tuple[str, str], list[Operation]]:
    """Return the operations of our own migrations that 1.0.0 did not have, by app and name."""
    old = set(re.findall(r'"django_migrations" VALUES\(\d+,\'(\w+)\',\'(\w+)\'', DUMP.read_text()))
    assert ("gateway", "0001_services") in old
    own = {
        config.label
        for config in apps.get_app_configs()
        if Path(config.path).is_relative_to(settings.BASE_DIR)
        and ".venv" not in Path(config.path).parts
    }
    loaded = MigrationLoader(None).disk_migrations
    return {
        name: list(migration.operations)
        for name, migration in loaded.items()
        if name[0] in own and name not in old
    }


def flattened(operations: list[Operation]) -> list[Operation]:
    """Return the operations with what others hold for the database."""
    found: list[Operation] = []
    for operation in operations:
        if isinstance(operation, ops.SeparateDatabaseAndState):
            found += flattened(operation.database_operations)
        else:
            found.append(operation)
    return found


def fault(operation: Operation, new: set[str]) -> str | None:
    """Say what is wrong with an operation on a table that is older than its migration."""
    model = getattr(operation, "model_name", getattr(operation, "name", "")).lower()
    if isinstance(operation, TAKES_AWAY):
        return f"{type(operation).__name__} takes away what the version before uses"
    if model in new:
        return None
    if isinstance(operation, ops.AddField):
        field = operation.field
        is_filled = field.null or field.db_default is not NOT_PROVIDED or field.many_to_many
        return (
            None if is_filled else f"{model}.{operation.name}: the version before writes no value"
        )
    if isinstance(operation, ops.AlterField) and not isinstance(operation, DropNotNull):
        return f"{model}.{operation.name} is altered"
    if isinstance(operation, ops.AddIndex) and not isinstance(operation, AddIndexConcurrently):
        return f"{model} is locked while it is indexed" if model in LARGE else None
    if isinstance(operation, ops.AddConstraint):
        return f"{model} is locked while it is checked" if model in LARGE else None
    return None


def faults(operations: list[Operation]) -> list[str]:
    """Return what is wrong with the operations of one migration."""
    flat = flattened(operations)
    new = {operation.name.lower() for operation in flat if isinstance(operation, ops.CreateModel)}
    return [found for operation in flat if (found := fault(operation, new))]


def test_no_migration_locks_a_large_table_or_takes_away_what_is_in_use() -> None:
    found = {name: wrong for name, run in since_1_0_0().items() if (wrong := faults(run))}

    assert {name: wrong for name, wrong in found.items() if name not in ACCEPTED} == {}
    assert set(ACCEPTED) <= set(found), "remove what is not needed"


def test_the_rules_find_what_they_forbid() -> None:
    text = models.TextField()
    index = models.Index(fields=["path"], name="i")
    wrong: list[Operation] = [
        ops.RemoveField("job", "note"),
        ops.RenameField("apikey", "note", "remark"),
        ops.DeleteModel("Service"),
        ops.AddField("apikey", "note", models.TextField(default="")),
        ops.AlterField("requestlog", "path", text),
        ops.AddIndex("requestlog", index),
        ops.AddConstraint("job", models.CheckConstraint(condition=models.Q(id=1), name="c")),
    ]
    right: list[Operation] = [
        ops.CreateModel("Link", [("path", text)]),
        ops.AddIndex("link", index),
        ops.AddField("apikey", "note", models.TextField(null=True)),
        ops.AddField("apikey", "mark", models.TextField(db_default="")),
        AddIndexConcurrently("requestlog", index),
        DropNotNull("job", "note", models.TextField(null=True)),
    ]

    assert [len(faults([operation])) for operation in wrong] == [1] * len(wrong)
    assert faults(right) == []
