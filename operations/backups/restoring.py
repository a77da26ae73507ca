"""Restores a backup into an empty place, and migrates it to this version.

Everything that can be refused is refused before anything is changed. Rows are stored in one
transaction: after a failure the place is as good as empty, and the restore can be repeated.
"""

import os
import secrets as random_names
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DataError, IntegrityError
from django.utils import timezone

from apikeys.checks import wrong_peppers
from apikeys.models import ApiKey
from apikeys.peppers import Peppers, parse_peppers
from database.refusals import Refused
from logs import retention
from logs.partitions import upkeep
from operations.backups import databases, schema
from operations.backups.archive import Reader
from operations.backups.making import secret_key_fingerprint
from operations.backups.schema import Migration, Table
from operations.backups.sealing import Secrets

SECRET_MODE = 0o600
KEYS = ApiKey._meta.db_table


def migrations_of(archive: Reader) -> list[Migration]:
    """Return the migrations of a backup; refuse one that a newer version made."""
    migrations = [(app, name) for app, name in archive.manifest["migrations"]]
    if newer := schema.unknown(migrations):
        raise Refused(
            f"The backup was made by version {archive.manifest['version']}, with"
            f" {'.'.join(newer[0])}."
            " Restore it with that version or a later one."
        )
    return migrations


def require_peppers(archive: Reader, peppers: Peppers) -> None:
    """Refuse peppers under which the keys of the backup do not verify."""
    described = archive.manifest["peppers"]
    known = {int(number): text for number, text in described["fingerprints"].items()}
    if error := next(wrong_peppers(peppers, described["used"], known), None):
        raise Refused(f"{error.msg} {error.hint}")


def restore(archive: Reader, secrets: Secrets | None) -> Iterator[str]:
    """Restore everything; yield what the operator should know."""
    migrations = migrations_of(archive)
    schema.require_empty()
    tables = schema.tables(migrations)
    _compare(archive, {table.name: [column.name for column in table.columns] for table in tables})
    if secrets is not None:
        require_ours(secrets)
    archive.check()
    # First, so that a restore that is cut off has not lost them.
    if secrets is not None:
        yield from _write_secrets(secrets)
    elif secret_key_fingerprint(settings.SECRET_KEY) != archive.manifest["secret_key"]:
        yield (
            "SECRET_KEY is another than that of the backup, so authenticator apps and recovery"
            " codes fail. Run reset_second_factor for each person who has them."
        )
    with databases.unhurried():
        if schema.applied() != migrations:
            schema.drop_all()
            schema.migrate_to(migrations)
        # Or all that is restored is in one partition, which is never dropped.
        upkeep.divide_oldest(retention.expired_before(timezone.now()))
        _load(archive, tables)
        call_command("migrate", verbosity=0, interactive=False)


def _load(archive: Reader, tables: list[Table]) -> None:
    try:
        with databases.filling(tables):
            schema.empty(tables)
            for table in tables:
                described = archive.tables[table.name]
                if databases.copy_in(table, archive) != described["rows"]:
                    raise archive.damaged()
                if table.identity:
                    databases.set_last_number(table, described["last_number"])
            _end_hand_overs(tables)
    except IntegrityError:
        raise Refused(
            "Rows were stored by somebody else meanwhile, so none of the backup's were."
            " Stop what uses this database, and restore into an empty one."
        ) from None
    except (DataError, ValueError, OverflowError):
        # Altered by somebody who computed the digest anew.
        raise archive.damaged() from None


def _end_hand_overs(tables: list[Table]) -> None:
    """Have no key name a link, for none is in a backup; keys of 1.0.0 name none."""
    columns = {column.name for table in tables if table.name == KEYS for column in table.columns}
    if "hand_over_id" in columns:
        ApiKey.objects.filter(hand_over_id__isnull=False).update(hand_over_id=None)


def _compare(archive: Reader, columns: dict[str, list[str]]) -> None:
    if columns != {name: table["columns"] for name, table in archive.tables.items()}:
        raise Refused(
            "The backup's tables are not those of its migrations."
            " Restore it with the version that made it, or take another."
        )


def require_ours(secrets: Secrets) -> None:
    """Refuse secrets that would count for nothing beside those of the environment."""
    if _is_set("peppers", settings.API_KEY_PEPPERS.written(), secrets.peppers):
        raise Refused(
            "API_KEY_PEPPERS is set, to other peppers than those of the backup."
            " Leave it out, or restore --without-secrets."
        )
    if _is_set("secret_key", settings.SECRET_KEY, secrets.secret_key):
        raise Refused(
            "SECRET_KEY is set, to another than that of the backup."
            " Leave it out, or restore --without-secrets."
        )


def _is_set(name: str, used: str, restored: str) -> bool:
    """Whether the environment, and not the file in the data folder, names what is used."""
    path = settings.LATCHKEY_VAR / name
    kept = path.read_text(encoding="ascii").strip() if path.exists() else ""
    return used != restored and kept != used


def _write_secrets(secrets: Secrets) -> Iterator[str]:
    for name, value in (("secret_key", secrets.secret_key), ("peppers", secrets.peppers)):
        path: Path = settings.LATCHKEY_VAR / name
        kept = path.read_text(encoding="ascii").strip() if path.exists() else ""
        if kept in ("", value):
            if not kept:
                _write(path, value)
            continue
        # Another database's keys may be signed with them.
        aside = path.with_name(f"{name}.{random_names.token_hex(4)}")
        path.rename(aside)
        _write(path, value)
        yield f"{path} is that of the backup now. Delete {aside.name} unless another needs it."


def _write(path: Path, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())


def peppers_of(secrets: Secrets | None) -> Peppers:
    """Return the peppers that verify keys once the restore is done."""
    configured: Peppers = settings.API_KEY_PEPPERS
    return parse_peppers(secrets.peppers) if secrets else configured
