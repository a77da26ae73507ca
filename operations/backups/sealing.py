"""The secrets of an installation, encrypted under a passphrase for a backup.

AES-256-GCM under a key that scrypt makes of the passphrase. The costs stand beside the text, so
that they can be raised; what was sealed for one backup does not open in another.
"""

import json
import os
from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from database.refusals import Refused

# A file can be tried offline, for as long as somebody likes.
MIN_PASSPHRASE = 12
# 128 MiB and a second for each try (OWASP's recommendation).
COST = {"n": 2**17, "r": 8, "p": 1}
MAX_MEMORY = 2**30
KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16


class Secrets(NamedTuple):
    """What stands outside the database, without which it verifies nothing."""

    secret_key: str
    peppers: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "Secrets()"


def require_strong(passphrase: str) -> None:
    if len(passphrase) < MIN_PASSPHRASE:
        raise Refused(
            f"The passphrase is shorter than {MIN_PASSPHRASE} characters. Choose a longer one, for"
            " instance five words."
        )


def seal(secrets: Secrets, passphrase: str, backup: str) -> dict[str, Any]:
    """Encrypt for the backup of this name."""
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    text = json.dumps(secrets._asdict()).encode()
    sealed = AESGCM(_key(passphrase, salt, COST)).encrypt(nonce, text, backup.encode())
    return {"salt": _text(salt), "nonce": _text(nonce), "text": _text(sealed), **COST}


def unseal(sealed: dict[str, Any], passphrase: str, backup: str) -> Secrets:
    """Decrypt; a passphrase that does not fit is refused."""
    try:
        cost = {name: int(sealed[name]) for name in COST}
        if 128 * cost["n"] * cost["r"] * cost["p"] > MAX_MEMORY:
            raise ValueError("the costs are too high")
        key = _key(passphrase, b64decode(sealed["salt"]), cost)
        nonce, text = b64decode(sealed["nonce"]), b64decode(sealed["text"])
        return Secrets(**json.loads(AESGCM(key).decrypt(nonce, text, backup.encode())))
    except InvalidTag:
        raise Refused(
            "The passphrase does not open the secrets of this backup."
            " Give the one that it was made with."
        ) from None
    except (KeyError, TypeError, ValueError):
        raise Refused(
            "The secrets of this backup cannot be read."
            " Take another backup, or restore --without-secrets."
        ) from None


def _key(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, **cost).derive(passphrase.encode())


def _text(value: bytes) -> str:
    return b64encode(value).decode()
