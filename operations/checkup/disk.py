"""Whether requests can be recorded: the spool, and the disks that it and the database are on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from logs.capture import spool
from logs.shipping.shipper import REJECTED
from operations.checkup.findings import Finding

# The worker ships within a second.
MAX_LAG_SECONDS = 60
FULL = 0.8
# What a database needs to go on for a while.
MIN_FREE_BYTES = 64 * 1024 * 1024


def check_spool() -> Iterator[Finding]:
    folder: Path = settings.LOG_SPOOL
    behind = spool.backlog(folder)
    if behind.total_bytes >= FULL * settings.LOG_SPOOL_BYTES:
        yield Finding(
            "spool-full",
            f"The spool holds {behind.total_bytes:,} of {settings.LOG_SPOOL_BYTES:,} bytes, and"
            " requests are refused when it is full.",
            "See that a worker runs here and that the database takes writes.",
        )
    if behind.lag_seconds > MAX_LAG_SECONDS:
        yield Finding(
            "spool-behind",
            f"A record has waited for {behind.lag_seconds:,.0f} s in {folder}.",
            "See that a worker runs on this host, and what its log says of shipping.",
        )
    rejected = folder / REJECTED
    if spool.size_of(rejected):
        yield Finding(
            "spool-rejected",
            f"The database refused records, which are in {rejected}.",
            "Read the file and the worker's log, and remove the file then.",
        )
    if not spool.can_write(folder):
        yield Finding(
            "spool-unwritable",
            f"{folder} cannot be written, so requests are refused.",
            "Let this user write it, or make room.",
        )


def check_disk() -> Iterator[Finding]:
    """See that the spool could grow to its limit."""
    needed = {settings.LATCHKEY_VAR: _unused_spool()}
    database = settings.DATABASES["default"]
    if "sqlite3" in database["ENGINE"]:
        needed.setdefault(Path(database["NAME"]).resolve().parent, 0)
    for folder, growth in needed.items():
        free = shutil.disk_usage(folder).free
        if free < max(MIN_FREE_BYTES, growth):
            yield Finding(
                "disk",
                f"{free:,} bytes are free at {folder}, and {max(MIN_FREE_BYTES, growth):,} may be"
                " needed.",
                "Make room, or lower LOG_SPOOL_BYTES.",
            )


def _unused_spool() -> int:
    unused: int = settings.LOG_SPOOL_BYTES - spool.size(settings.LOG_SPOOL)
    return unused
