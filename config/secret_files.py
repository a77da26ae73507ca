"""The data folder and the installation's own secrets; a key's are in ``apikeys.credentials``.

A secret is generated once into a file that only its owner may read. Its value is never
printed; a backup of the database without these files holds nothing that opens it.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from config.env import configuration_error

FOLDER_MODE = 0o700
SECRET_MODE = 0o600
# Files that others could read, until they were read here.
exposed: list[Path] = []


def data_folder(base: Path, name: str) -> Path:
    """Create the data folder, ``name`` below ``base`` unless it is absolute; see it writable."""
    path = base / name
    try:
        path = base / Path(name).expanduser()
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise _unusable(path, error) from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(path, PermissionError("permission denied"))
    return path


def secret_file(path: Path, make: Callable[[], str]) -> str:
    """Return the secret kept in ``path``, making it first if there is none.

    Written whole under another name and then linked: of two first starts at once one wins and
    both read the same secret, and a start cut off half-way leaves no half secret behind.
    """
    try:
        if not path.exists():
            _write_once(path, make())
        if path.stat().st_mode & 0o077:
            exposed.append(path)
        path.chmod(SECRET_MODE)
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from None


def new_secret_key() -> str:
    return secrets.token_urlsafe(48)


def new_peppers() -> str:
    """Return a first pepper of 32 random bytes in the form of ``API_KEY_PEPPERS``."""
    return f"1:{secrets.token_hex(32)}"


def _write_once(path: Path, text: str) -> None:
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()


def _unusable(path: Path, error: Exception) -> Exception:
    reason = getattr(error, "strerror", None) or str(error)
    return configuration_error(
        "LATCHKEY_VAR",
        f"cannot be used, {path}: {reason}",
        "Name a folder that this user may write",
    )
