"""What commands share: one-line errors, arguments, and how a key is printed.

Bad input exits 2 with one line on stderr, nothing on stdout and nothing changed. A secret is
only ever written to stdout.
"""

import getpass
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console

from apikeys.audit import Actor
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey, Door
from apikeys.permissions import labels
from apikeys.representation import as_json
from apikeys.rules import Refused

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
WIDE = 500
MOST_DIGITS = 20


class LineCommand(BaseCommand):
    """A command that says in one line what is wrong with its input."""

    requires_migrations_checks = False
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser whose errors are one line and exit 2."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)

        def error(message: str) -> NoReturn:
            sys.stderr.write(f"{subcommand}: {message}. Use --help to see the arguments.\n")
            sys.exit(2)

        parser.error = error  # type: ignore[method-assign]
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, turning a refusal into one line and exit 2."""
        try:
            for value in options.values():
                _refuse_odd_bytes(value)
            return super().execute(*args, **options)
        except Refused as refused:
            raise CommandError(str(refused), returncode=2) from None


def _refuse_odd_bytes(value: Any) -> None:
    """Refuse an argument that is no text: Python keeps each byte as half of a surrogate pair."""
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and any("\ud800" <= character <= "\udfff" for character in text):
            raise Refused("An argument is not UTF-8. Write it in UTF-8.")


class KeyCommand(LineCommand):
    """A command about keys."""

    def find(self, key_id: str) -> ApiKey:
        """Return a key by its id."""
        key = ApiKey.objects.filter(pk=key_id).first()
        if key is None:
            raise Refused(f"There is no key {key_id!r}. Run list_api_keys to see the key ids.")
        return key

    def write_key(self, key: ApiKey, *, as_object: bool) -> None:
        """Print one key's settings."""
        if as_object:
            self.stdout.write(json.dumps(as_json(key)))
            return
        for name, value in as_json(key).items():
            self.stdout.write(f"{name.replace('_', ' '):15} {_readable(name, value)}")

    def write_issued(self, issued: IssuedKey, *, as_object: bool) -> None:
        """Print a new credential, for the one time it can be."""
        if as_object:
            self.stdout.write(json.dumps(as_json(issued.key) | {"key": issued.credential}))
            return
        # The key first: the note may have nowhere to go.
        self.stdout.write(issued.credential)
        self.stdout.flush()
        self.stderr.write(f"{issued.key}: copy the key now, it cannot be shown again.")


def actor() -> Actor:
    """Return who runs the command: the operating system's user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown user"
    return Actor(door=Door.COMMAND, name=name)


def console(stream: Any) -> Console:
    """Return a console that fits a terminal and cuts nothing off elsewhere."""
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        width=None if is_terminal else WIDE,
        highlight=False,
        # What is printed is what people typed: [red] is no colour and :key: no picture.
        markup=False,
        emoji=False,
    )


def duration(text: str) -> timedelta:
    """Read ``90d``, ``12h``, ``30m`` or ``45s``."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise Refused(f"{text!r} is not a duration. Write it as 90d, 12h, 30m or 45s.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def ago(text: str) -> datetime:
    """Return the instant that lies a duration such as ``90d`` before now."""
    try:
        return timezone.now() - duration(text)
    except OverflowError:
        raise Refused(f"{text!r} is too long ago. Choose a later time.") from None


def instant(text: str) -> datetime:
    """Read an instant, or a time before now such as ``2h``."""
    if DURATION.fullmatch(text):
        return ago(text)
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Refused(f"{text!r} is not a time. Write it as 30d or 2027-01-31T00:00Z.") from None


def expiry(text: str) -> datetime | None:
    """Read an instant, a time from now, or ``never``."""
    if text == "never":
        return None
    if DURATION.fullmatch(text):
        try:
            return timezone.now() + duration(text)
        except OverflowError:
            raise Refused(f"{text!r} is too far away. Choose an earlier expiry.") from None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text!r} is not a time. Write it as 90d, 2027-01-31T00:00Z or never."
        ) from None
    return instant


def customer_ids(texts: list[str]) -> list[UUID]:
    """Read customer ids."""
    try:
        return [UUID(text) for text in texts]
    except ValueError:
        raise Refused("A customer id is not a UUID. Copy it from the customer's page.") from None


def limit(text: str) -> int | None:
    """Read a limit, or ``default`` for the environment's."""
    if text == "default":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise Refused(f"{text!r} is not a limit. Write a whole number, or default.")
    return int(text)


def _readable(name: str, value: Any) -> str:
    match value:
        case None:
            return "never"
        case dict():
            return ", ".join(f"{number:,} per {window}" for window, number in value.items())
        case list() if name == "permissions":
            return ", ".join(labels(value)) or "none"
        case list():
            return ", ".join(value) or ("any" if name == "networks" else "-")
        case _:
            return str(value)
