"""Terminal output of commands, without Django: ``manage.py`` needs it before the settings."""

import os
import sys
from argparse import ArgumentParser
from typing import NoReturn, TextIO, TypeVar

from database.text import escaped

P = TypeVar("P", bound=ArgumentParser)


def report(text: str, *, source: str = "latchkey") -> None:
    """Write one line to standard error, whatever ``text`` repeats of what was given."""
    sys.stderr.write(f"{source}: {escaped(text)}\n")


def with_one_line_errors(parser: P, command: str) -> P:
    """Return the parser, whose errors are one line and exit 2."""

    def error(message: str) -> NoReturn:
        report(f"{message}. Use --help to see the arguments.", source=command)
        sys.exit(2)

    parser.error = error  # type: ignore[method-assign]
    return parser


def discard(stream: TextIO) -> None:
    """Send what ``stream`` still holds to nowhere, also when Python flushes it at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        # A stream of memory alone, as tests use, holds nothing back.
        return
