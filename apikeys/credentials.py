"""How a credential is made and read: ``lk_prod_<12 key id>_<32 secret><6 CRC32>``, all base62.

The checksum lets a scanner tell a real credential from a look-alike and lets the guard refuse
a typing error without a query. The tag is a hint for people: the stored row decides.
"""

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

from apikeys.environments import TAGS, Environment

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH = 12
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6
TOKEN_LENGTH = 43
PREFIX = re.compile(r"[a-z][a-z0-9]{0,15}")
KEY_ID = re.compile(rf"[0-9A-Za-z]{{{ID_LENGTH}}}")

_FORM = re.compile(
    rf"({PREFIX.pattern}_(?:{'|'.join(TAGS)})"
    rf"_([0-9A-Za-z]{{{ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}}))"
    rf"([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
# An underscore may arrive written as an address or as JSON writes any character.
_BAR = r"(?:_|%(?:25)*5[fF]|\\\\*u005[fF])"
_SECRET_PART = re.compile(
    rf"({PREFIX.pattern}{_BAR}(?:{'|'.join(TAGS)}){_BAR}[0-9A-Za-z]{{{ID_LENGTH}}}{_BAR})"
    r"[0-9A-Za-z]+"
)
# The token of a hand-over link is as good as the credential that it has made. A slash may arrive
# written as an address or as JSON writes any character.
HAND_OVER = "/handover/"
_HAND_OVER_TOKEN = re.compile(
    r"(handover(?:\\*/|%(?:25)*2[fF]|\\*u002[fF])+)[0-9A-Za-z]{16,}", re.IGNORECASE
)
# How people write a credential, in whatever form: its key id is what may be searched for. The admin
# gives it to the browser, so it is written as JavaScript reads it, too.
REFERENCE = (
    rf"{PREFIX.pattern}_(?:{'|'.join(TAGS)})_([0-9A-Za-z]{{{ID_LENGTH}}})"
    r"(?:_\S*)?(?![0-9A-Za-z])"
)
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
MASK = "***"


@dataclass(frozen=True, slots=True)
class Credential:
    """A well-formed credential, taken apart: who it claims to be, and the proof."""

    key_id: str
    secret: str = field(repr=False)


def new_key_id() -> str:
    """Return 12 random base62 characters: public, and stable for the key's life."""
    return _random(ID_LENGTH)


def new_secret() -> str:
    """Return 32 random base62 characters, 190 bits from the operating system."""
    return _random(SECRET_LENGTH)


def new_token() -> str:
    """Return 43 random base62 characters, 256 bits: what a hand-over link is known by."""
    return _random(TOKEN_LENGTH)


def compose(prefix: str, environment: Environment, key_id: str, secret: str) -> str:
    body = f"{prefix}_{environment.tag}_{key_id}_{secret}"
    return body + checksum(body)


def parse(text: str) -> Credential | None:
    """Take a credential apart; None when its form or its checksum is wrong.

    Any prefix is taken, so that a deployment may change ``API_KEY_PREFIX`` without
    withdrawing the keys it has issued.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    body, key_id, secret, written = match.groups()
    return Credential(key_id, secret) if checksum(body) == written else None


def checksum(body: str) -> str:
    """Return the CRC32 of ``body`` as six base62 digits, most significant first."""
    number, last = divmod(zlib.crc32(body.encode("ascii")), len(_PAIRS))
    first, middle = divmod(number, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def mask(text: str) -> str:
    """Replace the secret of every credential in ``text``, whole or cut short, by ``***``.

    And the token of every hand-over link.
    """
    return _HAND_OVER_TOKEN.sub(rf"\1{MASK}", _SECRET_PART.sub(rf"\1{MASK}", text))


def cut_to_key_id(text: str) -> str:
    """Return the key id of the first credential in ``text``, whole or cut short, else ``text``."""
    match = re.search(REFERENCE, text)
    return match[1] if match else text


def referred_key_id(text: str) -> tuple[str, bool]:
    """Return the key id that ``text`` is or begins a credential with, and whether a secret follows.

    Whatever else it is comes back as it is.
    """
    match = re.fullmatch(REFERENCE, text.strip())
    return (match[1], mask(text) != text) if match else (text, False)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
