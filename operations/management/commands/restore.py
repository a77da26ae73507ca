"""``manage.py restore``: puts a backup into an empty place."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apikeys.management.base_command import LineCommand
from backoffice.terminal import ask
from database.refusals import Refused
from operations.backups import restoring, sealing, verification
from operations.backups.archive import Reader
from operations.backups.sealing import Secrets
from operations.management import passphrases


class Command(LineCommand):
    """Restores."""

    help = (
        "Restore a backup into an empty database, of either kind, and migrate it to this version."
        " With --verify, check the peppers, the audit trail and a key that is read from stdin."
    )
    examples = ("restore latchkey.backup --verify",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="what backup wrote")
        parser.add_argument(
            "--verify", action="store_true", help="check peppers, audit trail and a known key"
        )
        parser.add_argument(
            "--passphrase-file", metavar="FILE", type=Path, help="instead of asking for it"
        )
        parser.add_argument(
            "--without-secrets", action="store_true", help="leave the secrets in the file alone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        archive = Reader(options["file"])
        try:
            restoring.migrations_of(archive)
            secrets = _secrets(archive, options)
            peppers = restoring.peppers_of(secrets)
            if options["verify"]:
                restoring.require_peppers(archive, peppers)
                credential = ask("A key to verify (Enter for none)").strip()
            for note in restoring.restore(archive, secrets):
                self.stderr.write(note)
            rows = sum(table["rows"] for table in archive.tables.values())
            self.stdout.write(f"{rows:,} rows of {archive.manifest['made_at']} are restored.")
            if options["verify"]:
                self._verify(archive.manifest["audit"], credential, peppers)
        finally:
            archive.close()

    def _verify(self, head: Any, credential: str, peppers: Any) -> None:
        try:
            self.stdout.write("The peppers are those of the keys.")
            self.stdout.write(verification.verify_chain(head))
            if credential:
                self.stdout.write(verification.verify_key(credential, peppers))
            else:
                self.stdout.write("No key was given, so none was verified.")
        except verification.Unverified as error:
            raise CommandError(str(error), returncode=3) from None


def _secrets(archive: Reader, options: dict[str, Any]) -> Secrets | None:
    """Return the secrets of the backup, if it has any and they are wanted."""
    sealed = archive.manifest["secrets"]
    if sealed is None or options["without_secrets"]:
        if options["passphrase_file"]:
            raise Refused("No secrets are restored. Leave --passphrase-file out.")
        return None
    if options["passphrase_file"]:
        passphrase = passphrases.from_file(options["passphrase_file"])
    else:
        passphrase = ask("Passphrase of the secrets in the backup")
    if not passphrase:
        raise Refused(
            "The backup holds secrets and no passphrase was given."
            " Name a --passphrase-file, or restore --without-secrets."
        )
    return sealing.unseal(sealed, passphrase, archive.manifest["id"])
