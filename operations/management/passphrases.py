"""How a passphrase is taken from a file, or typed anew."""

import sys
from pathlib import Path

from backoffice.terminal import ask
from database.refusals import Refused


def from_file(path: Path) -> str:
    """Return the first line of a file."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise Refused(
            f"The passphrase cannot be read from {path}, {reason}. Name a file of one line."
        ) from None


def ask_twice(prompt: str) -> str:
    """Return a new passphrase; on a terminal it is typed twice."""
    given = ask(prompt)
    if sys.stdin is not None and sys.stdin.isatty() and ask(f"{prompt}, again") != given:
        raise Refused("The two are not the same. Run the command again.")
    return given
