"""Makes a backup of the database, and of the secrets outside of it if a passphrase is given."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apikeys.checks import known_peppers, used_peppers, wrong_peppers
from apikeys.peppers import Peppers
from audit import chain
from database.refusals import Refused
from database.uuid7 import new_id
from operations.backups import archive, databases, schema, sealing
from operations.backups.schema import Migration, Table

SEALS = "audit_seal"


def make(path: Path, passphrase: str | None = None) -> dict[str, Any]:
    """Write a backup to ``path``, whole or not at all; return its manifest."""
    _require_file(path)
    migrations = schema.applied()
    tables = _tables(migrations)
    if passphrase is not None:
        sealing.require_strong(passphrase)
    with (
        archive.replacing(path) as file,
        databases.snapshot(tables),
        archive.Writer(file) as writer,
    ):
        if schema.applied() != migrations:
            raise Refused("A migration is under way. Wait for its end, and make the backup then.")
        manifest = _describe(migrations, tables, are_sealed=passphrase is not None)
        if passphrase is not None:
            secrets = sealing.Secrets(settings.SECRET_KEY, settings.API_KEY_PEPPERS.written())
            manifest["secrets"] = sealing.seal(secrets, passphrase, manifest["id"])
        for table in tables:
            manifest["tables"][table.name] = _copy(table, writer)
        writer.finish(manifest)
    return manifest


def _copy(table: Table, writer: archive.Writer) -> dict[str, Any]:
    with writer.table(table.name) as member:
        databases.copy_out(table, member)
    columns = [column.name for column in table.columns]
    number = databases.last_number(table) if table.identity else 0
    return {"columns": columns, "last_number": number, **member.summary()}


def _require_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise Refused(f"{path.parent} is no folder. Make it, or name a file in another.")
    if path.exists() and not path.is_file():
        raise Refused(f"{path} is no file. Name a file, which may be there already or not.")


def _tables(migrations: list[Migration]) -> list[Table]:
    if not migrations:
        raise Refused("The database has no tables. Run `manage.py migrate`, or set DATABASE_URL.")
    if newer := schema.unknown(migrations):
        raise Refused(
            f"The database was migrated by a newer version, with {'.'.join(newer[0])}."
            " Make the backup with that version."
        )
    return schema.tables(migrations)


def _describe(
    migrations: list[Migration], tables: list[Table], *, are_sealed: bool
) -> dict[str, Any]:
    head = chain.head() if SEALS in {table.name for table in tables} else None
    return {
        "format": archive.FORMAT,
        "version": settings.LATCHKEY_VERSION,
        "id": str(new_id()),
        "made_at": timezone.now().isoformat(),
        "database": connection.vendor,
        "migrations": migrations,
        "audit": head and head._asdict(),
        "peppers": _peppers(are_sealed=are_sealed),
        "secret_key": secret_key_fingerprint(settings.SECRET_KEY),
        "secrets": None,
        "tables": {},
    }


def _peppers(*, are_sealed: bool) -> dict[str, Any]:
    """Return which peppers are in use, and by what each is recognized.

    A host that makes backups alone need not have the peppers.
    """
    peppers: Peppers = settings.API_KEY_PEPPERS
    used, known = used_peppers(), known_peppers()
    error = next(wrong_peppers(peppers, used, known), None)
    if error and are_sealed:
        raise Refused(f"{error.msg} {error.hint}")
    # A database that was never served has keys, and does not know the peppers yet.
    unknown = used - set(known) if error is None else set()
    fingerprints = known | {number: peppers.fingerprint(number) for number in unknown}
    return {"used": sorted(used), "fingerprints": fingerprints}


def secret_key_fingerprint(secret_key: str) -> str:
    """Return 64 hex digits that tell one key from another and nothing about it."""
    return hmac.new(secret_key.encode(), b"latchkey:fingerprint", hashlib.sha256).hexdigest()
