#!/usr/bin/env python
"""Runs every command; turns a wrong setting or an absent dependency into one line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config.outages import describe_outage


def main() -> int:
    """Run the command in ``sys.argv``; return 2 for bad input, 1 for a dependency that is down."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        __import__(os.environ["DJANGO_SETTINGS_MODULE"])
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"latchkey: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if outage := describe_outage(error):
            sys.stderr.write(f"latchkey: {outage}\n")
            return 1
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
