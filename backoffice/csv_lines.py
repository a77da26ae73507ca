"""CSV for spreadsheets: the one place where a line is written, and where formulas are defused.

A spreadsheet evaluates a cell that begins with one of a few characters (OWASP, CSV Injection).
What separates cells depends on its settings, so what is one cell to us may be several to it:
whatever may begin a cell there is defused too, with an apostrophe before the character.
"""

import csv
import re
from collections.abc import Iterable

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
# Ignored by a spreadsheet before a formula, or taken for a quotation mark.
_IGNORED = "\\s\"'\\x00-\\x20\u200b-\u200f\u2060\ufeff"
# Takes in all that is ignored, sign or no sign: no character is scanned twice.
_BEGINNING = re.compile(rf"((?:\A|[;|\t\r\n])[{_IGNORED}]*)([{_SIGNS}]?)")


def line(values: Iterable[str]) -> str:
    """Return a line with its end, every cell quoted."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    written: str = writer.writerow(map(_defused, values))
    return written


def _defused(text: str) -> str:
    defused = _BEGINNING.sub(lambda match: f"{match[1]}'{match[2]}" if match[2] else match[0], text)
    # By themselves a beginning of a formula, says OWASP.
    return f"'{defused}" if defused.startswith(("\t", "\r", "\n")) else defused


class _Echo:
    """A file whose ``write`` gives back what it is given."""

    def write(self, text: str) -> str:
        return text
