"""``manage.py backup``: a copy of the database in one file, made while writes go on."""

import errno
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apikeys.management.base_command import LineCommand
from database.refusals import Refused
from operations.backups import making
from operations.management import passphrases


class Command(LineCommand):
    """Backs up."""

    help = (
        "Write the database to a file, whole or not at all, while writes go on. Peppers and"
        " SECRET_KEY are in it only --with-secrets, encrypted under a passphrase."
    )
    examples = ("backup latchkey.backup", "backup /mnt/latchkey.backup --with-secrets")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="a new file")
        parser.add_argument(
            "--with-secrets", action="store_true", help="with peppers and SECRET_KEY, encrypted"
        )
        parser.add_argument(
            "--passphrase-file", metavar="FILE", type=Path, help="instead of asking for it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if options["passphrase_file"] and not options["with_secrets"]:
            raise Refused("A passphrase is for secrets. Add --with-secrets, or leave it out.")
        try:
            manifest = making.make(path.absolute(), _passphrase(options))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise CommandError(
                f"{path} cannot be written, {error.strerror}. Name a file in another folder.",
                returncode=2,
            ) from None
        rows = sum(table["rows"] for table in manifest["tables"].values())
        size = path.stat().st_size
        secrets = ", secrets included" if manifest["secrets"] else ""
        self.stdout.write(f"{path}: {rows:,} rows in {size:,} bytes{secrets}.")


def _passphrase(options: dict[str, Any]) -> str | None:
    if not options["with_secrets"]:
        return None
    if options["passphrase_file"]:
        return passphrases.from_file(options["passphrase_file"])
    return passphrases.ask_twice("Passphrase for the secrets in the backup")
