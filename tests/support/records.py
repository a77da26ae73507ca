"""What the web process has put on record."""

import json
from typing import Any

from django.conf import settings

from logs.capture.record import Record
from logs.capture.spool import files


def record_of(answer: Any) -> Record:
    """Return the one record of an answered request."""
    lines = [line for path in files(settings.LOG_SPOOL) for line in path.open("rb")]
    found = [Record(*json.loads(line)) for line in lines]
    (record,) = [one for one in found if one.id == answer.headers["X-Request-ID"]]
    return record
