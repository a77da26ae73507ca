"""Django's command line, where a wrong setting or an absent dependency is one line."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility, get_commands, load_command_class
from django.db import DatabaseError
from django.utils.module_loading import import_string

from backoffice.terminal import discard, report, with_one_line_errors
from config import VERSION
from config.command_errors import describe_outage
from database.suggestions import suggestion
from database.text import escaped

# Django's commands that change accounts; ours of the same name put that on record.
RECORDED = {"changepassword", "createsuperuser"}


class Utility(ManagementUtility):
    """Django's, but that each error of the command line is one line."""

    def fetch_command(self, subcommand: str) -> Any:
        """Return the command, or exit 2 with one line."""
        if subcommand not in get_commands():
            meant = suggestion(subcommand, get_commands(), "Run manage.py help to see them.")
            report(f"there is no command {subcommand!r}. {meant}")
            sys.exit(2)
        if subcommand in RECORDED:
            command = load_command_class("config", subcommand)
        else:
            command = super().fetch_command(subcommand)
        make_parser = command.create_parser

        def create_parser(*args: Any, **options: Any) -> Any:
            return with_one_line_errors(make_parser(*args, **options), subcommand)

        command.create_parser = create_parser  # type: ignore[method-assign]
        command.get_version = lambda: f"Latchkey {VERSION}"  # type: ignore[method-assign]
        return command


def execute_from_command_line() -> int:
    """Run the command in ``sys.argv`` and return its exit code.

    2: bad input or a wrong setting; 1: a dependency is down, the disk is full, or migrations are
    missing; 130: interrupted.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for all its life
    if problem := _unusable_stdout() or _unseen_argument():
        report(problem)
        return 2
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot write is shown escaped.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if sys.argv[1:] in (["--version"], ["version"]):
        # Where Django would name its own.
        sys.stdout.write(f"Latchkey {VERSION}\n")
        return 0
    try:
        __import__(os.environ["DJANGO_SETTINGS_MODULE"])
        Utility(sys.argv).execute()
        sys.stdout.flush()
    except ImproperlyConfigured as error:
        report(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough.
        discard(sys.stdout)
    except Exception as error:
        problem = describe_outage(error) or _full_device(error) or _lacking_migrations(error)
        if problem is None:
            raise
        report(problem)
        return 1
    return 0


def _unusable_stdout() -> str | None:
    # Without stdout the command must not run: the secret of a new key would be lost.
    if sys.stdout is None:
        return "standard output is closed. Send it to a file or a pipe."
    return None


def _unseen_argument() -> str | None:
    # Here for every command, Django's own too. What a shell is given is a program of many lines.
    for argument in [] if sys.argv[1:2] == ["shell"] else sys.argv[1:]:
        if escaped(argument) != argument:
            return (
                f"the argument {argument!r} holds a character that cannot be seen."
                " Write it as one line of plain text."
            )
    return None


def _full_device(error: Exception) -> str | None:
    if not isinstance(error, OSError) or error.errno != errno.ENOSPC:
        return None
    discard(sys.stdout)
    return "there is no room left on the device. Make some, or write elsewhere."


def _lacking_migrations(error: Exception) -> str | None:
    if not isinstance(error, DatabaseError):
        return None
    # By its name: models cannot be imported before Django is set up.
    lacking = next(import_string("apikeys.checks.check_migrations")(), None)
    return f"{lacking.msg} {lacking.hint}" if lacking else None
