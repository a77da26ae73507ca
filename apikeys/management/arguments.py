"""The arguments that commands share, how each is read, and the codes and examples of their help."""

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from django.core.management.base import CommandParser, DjangoHelpFormatter
from django.utils import timezone

from apikeys.environments import Environment
from apikeys.limits import WINDOWS, LimitFields, parse_limit
from apikeys.permissions import BUILT_IN
from database.refusals import Refused
from database.timestamps import DURATION, duration

MAX_DIGITS = 20
KEY_ID_HELP = "a key id, alone or as its credential begins: 4kQ9zTfB2mXe or lk_prod_4kQ9zTfB2mXe"


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's, which keeps the lines of codes and examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        base = RawDescriptionHelpFormatter if "\n" in text else DjangoHelpFormatter
        return base._fill_text(self, text, width, indent)


def epilog(codes: Mapping[str, Mapping[str, str]], examples: Iterable[str]) -> str:
    """Return the end of a command's help: lists of codes by their title, then the examples."""
    parts = [
        "\n".join([f"{title}:", *(f"  {code:24} {label}" for code, label in listed.items())])
        for title, listed in codes.items()
    ]
    if lines := [f"  manage.py {example}" for example in examples]:
        parts.append("\n".join(["examples:", *lines]))
    return "\n\n".join(parts)


PERMISSION_CODES = {"permissions, besides those that list_permissions shows": dict(BUILT_IN)}


def add_key_id(parser: CommandParser) -> None:
    parser.add_argument("key_id", metavar="KEY_ID", help=KEY_ID_HELP)


def add_environment(parser: CommandParser, text: str, *, required: bool = False) -> None:
    parser.add_argument("--environment", required=required, choices=Environment.values, help=text)


def add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_span(parser: CommandParser) -> None:
    for name, text in (("after", "not before"), ("before", "before")):
        parser.add_argument(
            f"--{name}", metavar="2h|2027-01-31T00:00Z", help=f"{text} a time, or so long ago"
        )


def add_limits(parser: CommandParser) -> None:
    for window in WINDOWS:
        parser.add_argument(
            f"--per-{window.name}",
            metavar="N|default",
            help=f"requests in any {window.name}; 0 blocks, default is the environment's",
        )


def limits(options: dict[str, Any]) -> LimitFields:
    named = {window.field: options[f"per_{window.name}"] for window in WINDOWS}
    read = {field: parse_limit(text) for field, text in named.items() if text is not None}
    return cast(LimitFields, read)


def add_notes(parser: CommandParser) -> None:
    """Add what is noted of a key for those who administer."""
    parser.add_argument("--owner", metavar="O", help="a person or a team that answers for the key")
    parser.add_argument("--note", metavar="TEXT", help="one line about the key")


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


def customer_ids(texts: list[str]) -> list[UUID]:
    try:
        return [UUID(text) for text in texts]
    except ValueError:
        raise Refused("A customer id is not a UUID. Copy it from the customer's page.") from None


def whole_number(text: str) -> int:
    """Read an argument of digits; ``int`` also reads 1_000 and the digits of other scripts."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
