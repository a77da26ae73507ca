"""Python reads this at its start where libfaketime puts its clock ahead.

libfaketime 0.9.10 (Debian 12) has ``clock_nanosleep`` fail, which ``time.sleep`` calls.
"""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: SupportsIndex | float) -> None:
    if float(seconds) < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], float(seconds))


time.sleep = _sleep
