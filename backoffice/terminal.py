"""What commands write to a terminal and read from it, without Django.

``manage.py`` needs it before the settings.
"""

import os
import sys
from argparse import Action, ArgumentError, ArgumentParser
from getpass import getpass
from typing import Any, NoReturn, TextIO, TypeVar

from database.suggestions import suggestion
from database.text import escaped

P = TypeVar("P", bound=ArgumentParser)


def report(text: str, *, source: str = "latchkey") -> None:
    """Write one line to standard error, whatever ``text`` repeats of what was given."""
    sys.stderr.write(f"{source}: {escaped(text)}\n")


def with_one_line_errors(parser: P, command: str) -> P:
    """Return the parser, whose errors are one line and exit 2, and say what was probably meant."""

    def check_value(action: Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            if isinstance(action.choices, range):
                meant = f"Use {action.choices[0]} to {action.choices[-1]}."
            else:
                meant = suggestion(value, [str(choice) for choice in action.choices])
            raise ArgumentError(action, f"{value!r} is not one of them. {meant}".rstrip(". "))

    def error(message: str) -> NoReturn:
        end = "" if message.endswith("?") else ". Use --help to see the arguments."
        report(message + end, source=command)
        sys.exit(2)

    parser.error = error  # type: ignore[method-assign]
    parser._check_value = check_value  # type: ignore[method-assign]
    return parser


def ask(prompt: str) -> str:
    """Return a secret line, unseen on a terminal; blank at the end of standard input."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        return getpass(f"{prompt}: ")
    return sys.stdin.readline().rstrip("\r\n")


def discard(stream: TextIO) -> None:
    """Send what ``stream`` still holds to nowhere, also when Python flushes it at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        # A stream of memory alone, as tests use, holds nothing back.
        return
