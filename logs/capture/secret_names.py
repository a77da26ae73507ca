"""The names that mark a value as secret, alone and within a text."""

import re
from functools import lru_cache

# Names as they are compared: small letters and digits alone.
SECRET_NAME = re.compile(
    "passw|passphrase|passcode|pwd|secret|token|authori[sz]ation|credential|cookie|bearer"
    "|sessionid|connectionstring|handoverurl"
    "|(?:api|licen[cs]e|private|access|signing|encryption|auth)key"
)
# Too short to be looked for within others.
SHORT_NAMES = frozenset(
    "pass userpass auth xauth jwt xjwt otp pin sid session private signature sig".split()
)
# Names of our own that would be taken for such.
NOT_SECRET = frozenset({"secretversion"})
# A value after a name that says it is secret, in text that cannot be parsed.
_NAMES = (
    r"(?:passw|passphrase|passcode|pwd|secret|token|authori[sz]ation|credential|cookie"
    # A challenge (RFC 6750) names its realm, and holds no secret.
    r"|bearer(?! +realm *=)"
    r"|session[-_. ]?id|connection[-_. ]?string"
    r"|(?:api|licen[cs]e|private|access|signing|encryption|auth)[-_. ]{0,3}key"
    r"|(?<![a-z])(?:pass|auth|jwt|otp|pin|sid|signature)(?![a-z]))"
)
PAIR = re.compile(
    rf"({_NAMES}(?: ?[\w\-.\[\]]){{0,64}}\\{{0,8}}[\"']?\s{{0,64}}[:=]\s{{0,64}})"
    r"([\[{][\s\S]*|\"(?:[^\"\\]|\\.)*\"?|'[^']*'?"
    r"|(?:[|>][+-]?\s+|-\s+)?(?:(?:bearer|basic|digest)\s+)?[^\s,;&}\]]+)",
    re.IGNORECASE,
)
ELEMENT = re.compile(
    rf"(<[\w:.\-]{{0,64}}{_NAMES}[\w:.\-]{{0,64}}(?:\s[^<>]{{0,200}})?>)[^<]+", re.IGNORECASE
)
# One of them occurs, in small letters, wherever PAIR or ELEMENT finds something.
TEXT_HINTS = (
    "key", "secret", "token", "pass", "pwd", "authori", "credential", "cookie", "bearer",
    "session", "connection", "auth", "jwt", "otp", "pin", "sid", "sig",
)  # fmt: skip
_NOT_WORD = re.compile(r"[^0-9a-z]")


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a name says that its value is secret: ``api_key``, ``X-API-Key``, ``apiKey``."""
    plain = _NOT_WORD.sub("", name.lower())
    if plain in NOT_SECRET:
        return False
    return plain in SHORT_NAMES or SECRET_NAME.search(plain) is not None
