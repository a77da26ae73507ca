"""What commands share: one-line errors, finding a key, and how a key is printed.

Bad input exits 2 with one line on stderr, nothing on stdout and nothing changed. A secret is
only ever written to stdout.
"""

import getpass
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db import Error as DatabaseError
from rich.console import Console

from apikeys.catalogue import labels
from apikeys.checks import TAG
from apikeys.credentials import mask, referred_key_id
from apikeys.lifecycle import IssuedKey
from apikeys.management import arguments
from apikeys.models import ApiKey
from apikeys.serializers import administered
from audit.actors import Actor, Source
from backoffice.terminal import discard
from database.refusals import Refused
from database.text import escaped

WIDE = 500


class SafeOutput(OutputWrapper):
    """An output on which no stored text moves the cursor or turns the line around."""

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Any = None, ending: str | None = None
    ) -> None:
        super().write("\n".join(map(escaped, msg.split("\n"))), style_func, ending)


class LineCommand(BaseCommand):
    """A command that says in one line what is wrong with its input.

    Its help ends with ``codes``, lists by their titles, and with ``examples``.
    """

    codes: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    examples: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stdout = SafeOutput(kwargs.get("stdout") or sys.stdout)
        style = self.stderr.style_func
        self.stderr = SafeOutput(kwargs.get("stderr") or sys.stderr)
        self.stderr.style_func = style

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {
            "formatter_class": arguments.HelpFormatter,
            "epilog": arguments.epilog(self.codes, self.examples),
        }
        return super().create_parser(prog_name, subcommand, **kwargs)

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

    def find(self, text: str) -> ApiKey:
        """Return a key by its key id, alone or as the credential begins, or by the whole of it."""
        key_id, is_whole = referred_key_id(text)
        if is_whole:
            self.stderr.write(
                f"That is a whole API key, of which the key id {key_id} is enough. Take it out of"
                " the shell's history, and regenerate it if others can read that."
            )
        key = ApiKey.objects.filter(pk=key_id).first()
        if key is None:
            raise Refused(f"There is no key {key_id!r}. Run list_api_keys to see the key ids.")
        return key

    def write_key(self, key: ApiKey, *, as_object: bool) -> None:
        if as_object:
            self.stdout.write(json.dumps(administered(key)))
            return
        for name, value in administered(key).items():
            self.stdout.write(f"{name.replace('_', ' '):15} {_readable(name, value)}")

    def issue(self, make: Callable[[], IssuedKey], *, as_object: bool) -> None:
        with self.shown_or_undone() as show:
            issued = make()
            written = json.dumps(administered(issued.key) | {"key": issued.credential})
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
            return str(value) or "-"
