#!/usr/bin/env python
"""Django's command-line utility for administrative tasks."""

import os
import sys

from config.cli import execute_from_command_line


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    return execute_from_command_line()


if __name__ == "__main__":
    sys.exit(main())
