r"""Rows as text: the form of PostgreSQL's ``COPY``, with which both databases are read and filled.

A line is a row; values are separated by tabs, ``\N`` is null, and backslash, tab and line breaks
are escaped. PostgreSQL writes and reads it by itself. For SQLite the values are rewritten here:
Django stores an id there as hexadecimal digits, and a time without its zone.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# What a column holds, by the internal type of its field; Django's, and ours that are built on them.
KINDS = {
    "integer": (
        "AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField",
        "SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField",
        "PositiveSmallIntegerField",
    ),
    "text": (
        "CharField", "TextField", "SlugField", "FileField", "FilePathField", "JSONField",
        "GenericIPAddressField", "DateField", "TimeField",
    ),
    "boolean": ("BooleanField",),
    "datetime": ("DateTimeField",),
    "uuid": ("UUIDField",),
    "float": ("FloatField",),
    "binary": ("BinaryField",),
}  # fmt: skip
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}

NULL = "\\N"
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
MICROSECONDS = 6

Convert = Callable[[Any], Any]


def _escape(value: Any) -> str:
    text = str(value)
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(text: str) -> str:
    return ESCAPED.sub(lambda match: ESCAPES.get(match[1], match[1]), text)


def _hyphenated(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _sqlite_time(text: str) -> str:
    """Return a time as Django compares it in SQLite: with all its digits, or with none."""
    whole, point, fraction = text.removesuffix("+00").partition(".")
    return f"{whole}.{fraction:<0{MICROSECONDS}}" if point else whole


FROM_SQLITE: dict[str, Convert] = {
    "integer": str,
    "text": _escape,
    "boolean": lambda value: "t" if value else "f",
    "datetime": lambda value: f"{value}+00",
    "uuid": _hyphenated,
    "float": repr,
    "binary": lambda value: f"\\\\x{value.hex()}",
}
TO_SQLITE: dict[str, Convert] = {
    "integer": int,
    "text": lambda text: _unescape(text) if "\\" in text else text,
    "boolean": lambda text: int(text == "t"),
    "datetime": _sqlite_time,
    "uuid": lambda text: text.replace("-", ""),
    "float": float,
    "binary": lambda text: bytes.fromhex(text.removeprefix("\\\\x")),
}


def written(rows: Iterable[Sequence[Any]], kinds: Sequence[str]) -> bytes:
    """Return SQLite's rows as lines."""
    converts = [FROM_SQLITE[kind] for kind in kinds]
    lines = [
        "\t".join(
            [
                NULL if value is None else convert(value)
                for convert, value in zip(converts, row, strict=True)
            ]
        )
        for row in rows
    ]
    return "".join([f"{line}\n" for line in lines]).encode()


def read(lines: Iterable[bytes], kinds: Sequence[str]) -> list[list[Any]]:
    """Return the rows of lines as SQLite stores them."""
    converts = [TO_SQLITE[kind] for kind in kinds]
    return [
        [
            None if text == NULL else convert(text)
            for convert, text in zip(converts, line.decode().split("\t"), strict=True)
        ]
        for line in lines
    ]
