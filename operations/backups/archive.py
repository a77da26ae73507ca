"""The file of a backup: a ZIP archive of tables and, last of all, the manifest that counts them.

A file under its name is whole: it is written beside it as a draft, synced, and renamed. A draft has
no manifest until its end, and a copy that was cut off has no directory, so neither opens.
"""

import fcntl
import hashlib
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from database.refusals import Refused

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK_BYTES = 256 * 1024
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
# The rows of a log shrink to a fifth at the first level; the ninth gains little and takes long.
LEVEL = 1
# What the standard library says of an archive in which a bit is wrong.
UNREADABLE = (
    BadZipFile, EOFError, KeyError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
DRAFT = (".latchkey-", ".partial")
DESCRIBED: dict[str, type] = {
    "version": str, "id": str, "made_at": str, "secret_key": str, "migrations": list,
    "peppers": dict, "tables": dict,
}  # fmt: skip
OF_A_TABLE: dict[str, type] = {"columns": list, "last_number": int, "rows": int, "sha256": str}


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a draft that takes the place of ``path`` once it is whole and on the disk."""
    _remove_drafts(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=DRAFT[0], suffix=DRAFT[1])
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # Others take a draft that nobody holds for one whose writer was killed.
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _remove_drafts(folder: Path) -> None:
    """Remove what backups that were killed have left."""
    for draft in folder.glob(f"{DRAFT[0]}*{DRAFT[1]}"):
        with suppress(OSError), open(draft, "rb", opener=_open_at_once) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def _open_at_once(path: str, flags: int) -> int:
    # In a folder of everybody's, a draft may be another's pipe, which would never open, or a link.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


class Member:
    """A table that is being written: its rows are counted and its bytes are digested."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self.rows = 0

    def write(self, lines: bytes) -> None:
        """Write whole lines, one for each row."""
        self._waiting += lines
        if len(self._waiting) >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        self.rows += self._waiting.count(b"\n")
        self._digest.update(self._waiting)
        self._file.write(self._waiting)
        self._waiting = bytearray()

    def summary(self) -> dict[str, Any]:
        return {"rows": self.rows, "sha256": self._digest.hexdigest()}


class Writer:
    """Writes an archive, table by table and then the manifest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = ZipFile(file, "w", ZIP_DEFLATED, compresslevel=LEVEL)

    @contextmanager
    def table(self, name: str) -> Iterator[Member]:
        # Nobody knows beforehand whether it grows beyond 2 GB.
        with self._zip.open(_member(name), "w", force_zip64=True) as file:
            member = Member(file)
            yield member
            member.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not finished: the draft is removed, and whatever cannot be written to it any more.
        with suppress(OSError, ValueError):
            self._zip.close()

    def finish(self, manifest: dict[str, Any]) -> None:
        self._zip.writestr(MANIFEST, json.dumps(manifest, separators=(",", ":")))
        self._zip.close()


class Reader:
    """Reads an archive; what is not a whole backup is refused when it is opened or checked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = ZipFile(path)
            if any(member.compress_type != ZIP_DEFLATED for member in self._zip.infolist()):
                raise ValueError("a member is not as it is written here")
            if self._zip.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
                raise ValueError("the manifest is too long")
            self.manifest: dict[str, Any] = json.loads(self._zip.read(MANIFEST))
            self.tables: dict[str, dict[str, Any]] = self.manifest["tables"]
        except OSError as error:
            raise Refused(
                f"{path} cannot be read, {error.strerror or error}. Name the file of a backup."
            ) from None
        except UNREADABLE:
            raise self.damaged() from None
        if self.manifest.get("format") != FORMAT:
            raise Refused(
                f"{path} was made by a newer version of Latchkey. Restore it with that version."
            )
        if not _is_complete(self.manifest):
            raise self.damaged()

    def close(self) -> None:
        self._zip.close()

    def check(self) -> None:
        """Compare every table with what the manifest says of it."""
        for name, expected in self.tables.items():
            digest, rows = hashlib.sha256(), 0
            for block in self.blocks(name):
                digest.update(block)
                rows += block.count(b"\n")
            if (rows, digest.hexdigest()) != (expected["rows"], expected["sha256"]):
                raise self.damaged()

    def blocks(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(_member(name)) as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
        except (OSError, *UNREADABLE):
            raise self.damaged() from None

    def lines(self, name: str) -> Iterator[list[bytes]]:
        """Yield rows in lists of some hundred kilobytes."""
        rest = b""
        for block in self.blocks(name):
            *lines, rest = (rest + block).split(b"\n")
            yield lines
        if rest:
            raise self.damaged()

    def damaged(self) -> Refused:
        return Refused(
            f"{self._path} is no backup, or not a whole one. Copy it anew, or take another."
        )


def _is_complete(manifest: dict[str, Any]) -> bool:
    """Whether a manifest describes what its format does; an altered one may not."""
    holds = all(isinstance(manifest.get(name), kind) for name, kind in DESCRIBED.items())
    return (
        holds
        and manifest.keys() >= {"audit", "secrets"}
        and all(
            isinstance(table, dict)
            and all(isinstance(table.get(name), kind) for name, kind in OF_A_TABLE.items())
            for table in manifest["tables"].values()
        )
    )


def _member(table: str) -> str:
    return f"tables/{table}"
