"""How a credential may be written so that its form does not show.

``unescaped`` undoes what addresses, HTML, programming languages and mail write in place of a
character; ``mask_base64`` finds credentials within base64 of either alphabet, wherever in the
encoded bytes they begin and however the lines are broken.
"""

import re
from base64 import b64decode, b64encode
from urllib.parse import unquote

from apikeys.credentials import HAND_OVER, MASK, mask
from apikeys.environments import TAGS

# What identifies a credential: prefix, tag, key id and one character of the secret.
MIN_LENGTH = 1 + min(map(len, TAGS)) + 12 + 3 + 1
_NESTED = 3
# A visible ASCII character as \x5f \u005f \u{5f} \U0000005f &#x5f; =5F, \137, &#95; or &lowbar;.
# No run of backslashes or zeros is scanned twice, however long a caller makes it.
_ESCAPE = re.compile(
    r"(?:(?<!\\)\\++(?:x|u00|u\{0*+|U000000)|&#[xX]0*+|=)(?P<hex>[2-7][0-9a-fA-F])[};]?"
    r"|(?<!\\)\\++0{0,2}(?P<octal>1[0-7][0-7]|[4-7][0-7])"
    r"|&#0*+(?P<decimal>[0-9]{2,3});?"
    r"|&(?P<name>amp|lowbar|UnderBar);"
)
_BASES = {"hex": 16, "octal": 8, "decimal": 10}
_NAMES = {"amp": "&", "lowbar": "_", "UnderBar": "_"}
_WIDE = str.maketrans("-_", "+/")
_BREAK = r"(?:(?:\\r)?\\n|\r?\n)[ \t]*"
_RUN = re.compile(rf"[A-Za-z0-9+/_-]+(?:{_BREAK}[A-Za-z0-9+/_-]+)*")
_BREAKS = re.compile(_BREAK)
# Two, because a search for one that begins with a fixed text is ten times as fast.
_CONTINUED = re.compile(r"\n[ \t]*[a-z0-9+/_-]")
_CONTINUED_ESCAPED = re.compile(r"\\n[ \t]*[a-z0-9+/_-]")


def _cores(marker: bytes) -> list[str]:
    """Return what ``marker`` is in base64 at each of three places, whatever stands beside it."""
    cores = []
    for shift in range(3):
        encoded = b64encode(bytes(shift) + marker + bytes(2)).decode()
        cores.append(encoded[-(-shift * 8 // 6) : (shift + len(marker)) * 8 // 6])
    return cores


# In small letters; one of them occurs wherever base64 holds a credential or a link.
BASE64_HINTS = tuple(
    {
        hint.lower()
        for marker in (*(f"_{tag}_" for tag in TAGS), HAND_OVER[1:])
        for core in _cores(marker.encode())
        for hint in (core, core.translate(str.maketrans("+/", "-_")))
    }
)
# One of them occurs, in small letters, wherever ``unescaped`` finds a letter, or another escape.
ESCAPE_HINTS = ("%", "&#", "amp;#", "bar;")
# Two, and each begins with a fixed character, for the same reason as above.
_BACKSLASH_HINT = re.compile(r"\\[xu0-7]")
_QUOTED_PRINTABLE_HINT = re.compile("=[2-7][0-9a-f]")


def unescaped(text: str) -> str:
    """Return ``text`` with escapes undone, also those of escapes."""
    for _ in range(_NESTED):
        plain = unquote(text) if "%" in text else text
        if "\\" in plain or "=" in plain or "&" in plain:
            plain = _ESCAPE.sub(_character, plain)
        if plain == text:
            break
        text = plain
    return text


def has_escapes(low: str) -> bool:
    for hint in ESCAPE_HINTS:
        if hint in low:
            return True
    return bool(_BACKSLASH_HINT.search(low) or _QUOTED_PRINTABLE_HINT.search(low))


def has_base64(low: str) -> bool:
    for hint in BASE64_HINTS:
        if hint in low:
            return True
    if not (_CONTINUED.search(low) or _CONTINUED_ESCAPED.search(low)):
        return False
    joined = "".join(low.replace("\\r", "").replace("\\n", "").split())
    return any(hint in joined for hint in BASE64_HINTS)


def mask_base64(text: str) -> str:
    """Replace what follows from a credential's secret on, in base64, by ``***``."""
    return _RUN.sub(_masked, text) if has_base64(text.lower()) else text


def _character(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    base = _BASES.get(kind)
    return _NAMES[match[kind]] if base is None else chr(int(match[kind], base))


def _masked(match: re.Match[str]) -> str:
    run = _BREAKS.sub("", match[0])
    cuts = [cut for phase in range(4) if (cut := _secret_at(run, phase)) is not None]
    return run[: min(cuts)] + MASK if cuts else match[0]


def _secret_at(run: str, phase: int) -> int | None:
    """Return where in ``run`` a secret begins, if its groups of four begin at ``phase``."""
    encoded = run[phase:].translate(_WIDE)
    plain = b64decode(encoded + "A" * (-len(encoded) % 4)).decode("latin-1")
    masked = mask(plain)
    if masked == plain:
        return None
    return phase + masked.index(MASK) * 8 // 6
