"""The form of a license key: five groups of five, the last character a check.

Crockford's base32 (no I, L, O, U), so that it can be read out and typed in; 24 characters from
the operating system are 120 bits. The check is Luhn's over the alphabet: it finds every single
wrong character and every swap of neighbours but two.
"""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP = 5
LENGTH = 25
MASK = "*****"

_READ_AS = str.maketrans("OIL", "011")


def new() -> str:
    return grouped(_with_check("".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))))


def parse(text: str) -> str | None:
    """Return a key as it is stored from what a person typed; None if it cannot be one."""
    plain = "".join(text.upper().split()).replace("-", "").translate(_READ_AS)
    if len(plain) != LENGTH or not set(plain) <= set(ALPHABET):
        return None
    return grouped(plain) if _with_check(plain[:-1]) == plain else None


def masked(license_key: str) -> str:
    groups = license_key.split("-")
    return "-".join([groups[0], *([MASK] * (len(groups) - 2)), groups[-1]])


def grouped(plain: str) -> str:
    return "-".join(plain[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def _with_check(plain: str) -> str:
    total = 0
    for place, character in enumerate(reversed(plain)):
        value = ALPHABET.index(character) * (2 if place % 2 == 0 else 1)
        total += value // len(ALPHABET) + value % len(ALPHABET)
    return plain + ALPHABET[-total % len(ALPHABET)]
