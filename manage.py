#!/usr/bin/env python
"""Runs every command; turns a wrong setting or an absent dependency into one line."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility, get_commands

from config.outages import describe_outage


class Utility(ManagementUtility):
    """Django's, but for a name that is no command."""

    def fetch_command(self, subcommand: str) -> Any:
        """Return the command, or exit 2 with one line."""
        if subcommand not in get_commands():
            _say(f"there is no command {subcommand!r}. Run manage.py help to see them")
            sys.exit(2)
        return super().fetch_command(subcommand)


def main() -> int:
    """Run the command in ``sys.argv``; return 2 for bad input, 1 for a dependency that is down."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for all its life
    if sys.stdout is None:
        # Nothing is done whose outcome cannot be told: a new key would be lost.
        _say("standard output is closed. Send it to a file or a pipe")
        return 2
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot write is shown escaped.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        __import__(os.environ["DJANGO_SETTINGS_MODULE"])
        Utility(sys.argv).execute()
        sys.stdout.flush()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"latchkey: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough.
        _leave_nothing_to_flush()
    except Exception as error:
        if outage := describe_outage(error):
            sys.stderr.write(f"latchkey: {outage}\n")
            return 1
        if not isinstance(error, OSError) or error.errno != errno.ENOSPC:
            raise
        _say("there is no room left on the device. Make some, or write elsewhere")
        _leave_nothing_to_flush()
        return 1
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"latchkey: {text}.\n")


def _leave_nothing_to_flush() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
