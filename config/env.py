"""Reads environment variables; a wrong or unsafe one stops the start in one line.

Every message names the variable and says what is wrong and what to do; none repeats a value
that may be a secret. ``manage.py write_docs`` documents each variable with the default and the
meaning that its reader was given.
"""

import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from io import StringIO
from pathlib import Path
from typing import NamedTuple, TypeVar

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from dotenv import dotenv_values
from dotenv.parser import parse_stream

from database.client_address import Network, Networks, parse_address, parse_network

T = TypeVar("T")

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}
MAX_DIGITS = 20
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# RFC 1123 §2.1; an underscore too, which names in private networks have.
HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*",
    re.ASCII | re.IGNORECASE,
)
# No organisation's own proxies are spread wider.
MIN_PREFIX = {4: 8, 6: 7}


def configuration_error(name: str, problem: str, remedy: str) -> ImproperlyConfigured:
    """Return the error that stops the start: one line, two sentences."""
    return ImproperlyConfigured(f"{name} {problem}. {remedy}.".replace("\n", " "))


def env_file(path: Path) -> dict[str, str]:
    """Return what ``.env`` sets, nothing if it is not there; refuse a line that sets nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, ValueError):
        raise configuration_error(
            ".env", "cannot be read as UTF-8 text", "Correct the file or remove it"
        ) from None
    for binding in parse_stream(StringIO(text)):
        is_assignment = binding.key is not None and binding.value is not None
        is_blank = binding.key is None and not binding.error
        if is_blank or (is_assignment and NAME.fullmatch(binding.key or "")):
            continue
        # Never the line itself: it may hold a secret.
        blank = binding.original.string
        line = binding.original.line + blank[: len(blank) - len(blank.lstrip())].count("\n")
        raise configuration_error(
            ".env",
            f"holds no assignment in line {line}",
            "Write it as NAME=value, or begin the line with #",
        )
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


class Variable(NamedTuple):
    """What the documents say of an environment variable."""

    name: str
    default: str
    meaning: str


class Variables:
    """Typed readers over a mapping of variables; a blank value counts as left out."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.documented: list[Variable] = []

    def text(self, name: str, default: str, meaning: str) -> str:
        """Return the value without surrounding blanks."""
        return self._read(name, default, meaning) or default

    def flag(self, name: str, default: bool, meaning: str, *, shown: str = "") -> bool:
        """Return whether the value is on; ``shown`` documents a default that is worked out."""
        value = self._read(name, shown or ("on" if default else "off"), meaning).lower()
        if value and value not in TRUE | FALSE:
            raise configuration_error(
                name, f"is {value!r}, neither on nor off", "Set it to on or off"
            )
        return value in TRUE if value else default

    def number(
        self,
        name: str,
        default: int,
        meaning: str,
        *,
        least: int,
        most: int = 2**31 - 1,
        shown: str = "",
    ) -> int:
        """Return a whole number from ``least`` to ``most``."""
        value = self._read(name, shown or str(default), meaning)
        if not value:
            return default
        is_number = value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS
        if not is_number or not least <= int(value) <= most:
            raise configuration_error(
                name,
                f"is {value!r}, not a whole number from {least} to {most}",
                f"Set it to such a number or leave it out for {default}",
            )
        return int(value)

    def words(self, name: str, default: list[str], meaning: str) -> list[str]:
        return _split(self._read(name, ",".join(default), meaning)) or default

    def choice(self, name: str, allowed: list[str], meaning: str) -> str:
        """Return one of ``allowed``, the first if none is named."""
        value = self.text(name, allowed[0], meaning)
        if value not in allowed:
            raise configuration_error(name, f"is {value!r}", f"Choose one of {', '.join(allowed)}")
        return value

    def choices(self, name: str, allowed: list[str], meaning: str) -> list[str]:
        """Return one or more of ``allowed``, comma-separated; all if none is named."""
        values = _split(self.text(name, ",".join(allowed), meaning))
        if not values:
            raise configuration_error(name, "names nothing", f"Choose among {', '.join(allowed)}")
        for word in values:
            if word not in allowed:
                raise configuration_error(
                    name, f"names {word!r}", f"Choose among {', '.join(allowed)}"
                )
        return values

    def networks(self, name: str, default: list[str], meaning: str) -> Networks:
        """Return CIDR blocks, none for the word; one of every address is refused as unsafe."""
        networks: list[Network] = []
        words = self.words(name, default, meaning)
        for word in [] if words == ["none"] else words:
            try:
                network = parse_network(word)
            except ValueError:
                raise configuration_error(
                    name,
                    f"holds {word!r}, which is not a network",
                    "Write networks as 10.0.0.0/8 or fd00::/8, comma-separated",
                ) from None
            if network.prefixlen < MIN_PREFIX[network.version]:
                raise configuration_error(
                    name,
                    f"holds {word}, which trusts a large part of the Internet",
                    "Name the addresses of your own proxies",
                )
            networks.append(network)
        return Networks(networks)

    def host(self, name: str, meaning: str) -> str:
        """Return a host name or an address, blank if none is named."""
        value = self._read(name, "", meaning)
        if value and parse_address(value) is None and not HOST_NAME.fullmatch(value):
            raise configuration_error(
                name, f"is {value!r}, which is no host", "Write it as mail.example.com"
            )
        return value

    def mailbox(self, name: str, default: str, meaning: str) -> str:
        """Return one e-mail address, also written as ``Name <address>``."""
        value = self.text(name, default, meaning)
        _check_mailbox(name, value, parseaddr(value)[1] if value.endswith(">") else value)
        return value

    def mailboxes(self, name: str, meaning: str) -> list[str]:
        values = self.words(name, [], meaning)
        for value in values:
            _check_mailbox(name, value, value)
        return values

    def parsed(self, name: str, parse: Callable[[str], T], default: str, meaning: str) -> T:
        """Return ``parse`` of the value; its ``ValueError`` becomes a line that shows the form."""
        value = self.text(name, default, meaning)
        try:
            return parse(value)
        except ValueError:
            raise configuration_error(name, f"is {value!r}", f"Write it as {default}") from None

    def _read(self, name: str, default: str, meaning: str) -> str:
        self.documented.append(Variable(name, default, meaning))
        return self._values.get(name, "").strip()


def _split(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _check_mailbox(name: str, written: str, address: str) -> None:
    try:
        if not written.isprintable():
            raise ValidationError(written)
        validate_email(address)
    except ValidationError:
        raise configuration_error(
            name, f"holds {written!r}, which is no e-mail address", "Write it as ops@example.com"
        ) from None
