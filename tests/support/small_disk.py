"""A real disk of a few kilobytes: a tmpfs in a mount namespace that nobody else sees."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.services import missing

SEPARATOR = "--- what is on the disk"


def run(
    command: list[str], disk: Path, *, size: str, environment: Mapping[str, str], folder: Path
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command while ``disk`` is that small; return how it ended and what files are left."""
    disk.mkdir(exist_ok=True)
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = (
        f"mount -t tmpfs -o size={size} tmpfs {disk} || exit 125; {shlex.join(command)};"
        f" code=$?; echo; echo '{SEPARATOR}'; ls -A {disk}; exit $code"
    )
    done = subprocess.run(
        ["unshare", "--mount", *as_root, "sh", "-c", script],
        cwd=folder, env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 125 or SEPARATOR not in done.stdout:
        missing("The right to mount a tmpfs")
    done.stdout, _, files = done.stdout.partition(f"\n{SEPARATOR}\n")
    return done, files.split()
