"""What commands share: one-line errors, arguments, and how a key is printed.

Bad input exits 2 with one line on stderr, nothing on stdout and nothing changed. A secret is
only ever written to stdout.
"""

import getpass
import json
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db import Error as DatabaseError
from django.utils import timezone
from rich.console import Console

from apikeys.audit import Actor
from apikeys.catalogue import labels
from apikeys.checks import TAG
from apikeys.credentials import mask
from apikeys.lifecycle import IssuedKey
from apikeys.limits import WINDOWS, LimitFields
from apikeys.models import ApiKey, Source
from apikeys.serializers import as_json
from backoffice.terminal import discard
from database.refusals import Refused
from database.text import escaped

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
WIDE = 500
MAX_DIGITS = 20


class SafeOutput(OutputWrapper):
    """Standard output on which no stored text moves the cursor or turns the line around."""

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Any = None, ending: str | None = None
    ) -> None:
        super().write("\n".join(map(escaped, msg.split("\n"))), style_func, ending)


class LineCommand(BaseCommand):
    """A command that says in one line what is wrong with its input."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stdout = SafeOutput(kwargs.get("stdout") or sys.stdout)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, turning a refusal into one line and exit 2."""
        try:
            return super().execute(*args, **options)
        except Refused as refused:
            # It may repeat what was typed, a whole key among it.
            raise CommandError(escaped(mask(str(refused))), returncode=2) from None

    def check(self, *args: Any, **options: Any) -> None:
        """Raise the first error of Django's system checks, as one line."""
        options.pop("display_num_errors", None)
        for issue in run_checks(*args, **options):
            if issue.is_serious() and not issue.is_silenced():
                raise ImproperlyConfigured(f"{issue.msg} {issue.hint or ''}".strip())

    def check_server(self) -> None:
        """See that what a server needs is there, with the checks that ask the database."""
        self.check(tags=[TAG], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])

    @contextmanager
    def shown_or_undone(self) -> Iterator[Callable[..., None]]:
        """Open a transaction for making a secret; print the secret with what this yields.

        A secret that could not be printed is not made: an operator would wait for a key that
        nobody has, or replace one in use by it.
        """
        printed: list[str] = []

        def show(text: str, *, key_id: str) -> None:
            try:
                self.stdout.write(text)
                self.stdout.flush()
            except BaseException as error:
                # Otherwise Python would flush at exit the secret that is rolled back here.
                discard(sys.stdout)
                if not isinstance(error, OSError):
                    raise
                raise CommandError(
                    f"The key could not be printed, {error.strerror}, so nothing was changed."
                    " Send standard output to a terminal, a file or a pipe that is read.",
                    returncode=1,
                ) from None
            printed.append(key_id)

        try:
            with transaction.atomic():
                yield show
        except DatabaseError:
            if not printed:
                raise
            raise CommandError(
                f"The database failed after key {printed[0]} was printed, so the key may not work."
                f" Run show_api_key {printed[0]} and call with the key before you use it.",
                returncode=1,
            ) from None


class KeyCommand(LineCommand):
    """A command about keys."""

    def find(self, key_id: str) -> ApiKey:
        key = ApiKey.objects.filter(pk=key_id).first()
        if key is None:
            raise Refused(f"There is no key {key_id!r}. Run list_api_keys to see the key ids.")
        return key

    def write_key(self, key: ApiKey, *, as_object: bool) -> None:
        if as_object:
            self.stdout.write(json.dumps(as_json(key)))
            return
        for name, value in as_json(key).items():
            self.stdout.write(f"{name.replace('_', ' '):15} {_readable(name, value)}")

    def issue(self, make: Callable[[], IssuedKey], *, as_object: bool) -> None:
        with self.shown_or_undone() as show:
            issued = make()
            written = json.dumps(as_json(issued.key) | {"key": issued.credential})
            show(written if as_object else issued.credential, key_id=issued.key.pk)
        if not as_object:
            # The key is stored and printed already: a closed stderr is no failure.
            try:
                name = escaped(str(issued.key))
                self.stderr.write(f"{name}: copy the key now, it cannot be shown again.")
            except OSError:
                discard(sys.stderr)


def actor() -> Actor:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown user"
    return Actor(source=Source.COMMAND, name=name)


def console(stream: Any) -> Console:
    """Return a console that fits a terminal and cuts nothing off elsewhere."""
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        width=None if is_terminal else WIDE,
        highlight=False,
        # Markup and emoji are off: stored text such as [red] or :key: is printed literally.
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
    """Return the time that lies a duration such as ``90d`` before now."""
    try:
        return timezone.now() - duration(text)
    except OverflowError:
        raise Refused(f"{text!r} is too long ago. Choose a later time.") from None


def timestamp(text: str) -> datetime:
    """Read an RFC 3339 time, or a duration before now such as ``2h``."""
    if DURATION.fullmatch(text):
        return ago(text)
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Refused(f"{text!r} is not a time. Write it as 30d or 2027-01-31T00:00Z.") from None


def expiry(text: str) -> datetime | None:
    """Read an RFC 3339 time, a duration from now, or ``never``."""
    if text == "never":
        return None
    if DURATION.fullmatch(text):
        try:
            return timezone.now() + duration(text)
        except OverflowError:
            raise Refused(f"{text!r} is too far away. Choose an earlier expiry.") from None
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text!r} is not a time. Write it as 90d, 2027-01-31T00:00Z or never."
        ) from None
    return timestamp


def customer_ids(texts: list[str]) -> list[UUID]:
    try:
        return [UUID(text) for text in texts]
    except ValueError:
        raise Refused("A customer id is not a UUID. Copy it from the customer's page.") from None


def add_limits(parser: CommandParser) -> None:
    for window in WINDOWS:
        parser.add_argument(f"--per-{window.name}", metavar="N|default")


def limits(options: dict[str, Any]) -> LimitFields:
    named = {window.field: options[f"per_{window.name}"] for window in WINDOWS}
    read = {field: limit(text) for field, text in named.items() if text is not None}
    return cast(LimitFields, read)


def limit(text: str) -> int | None:
    """Read a limit, or ``default`` for the environment's."""
    if text == "default":
        return None
    try:
        return whole_number(text)
    except ArgumentTypeError:
        raise Refused(f"{text!r} is not a limit. Write a whole number, or default.") from None


def whole_number(text: str) -> int:
    """Read an argument of digits; ``int`` also reads 1_000 and the digits of other scripts."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ArgumentTypeError(f"{text!r} is not a whole number")
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
