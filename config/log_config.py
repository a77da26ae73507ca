"""Logging to the terminal, with secrets masked in every line."""

import logging
from typing import Any

from apikeys.credentials import mask
from apikeys.guard.context import context_of
from config.command_errors import is_down


class MaskingFormatter(logging.Formatter):
    """Masks the whole line, traceback included: a secret may stand in any part of it."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


class UnexpectedErrors(logging.Filter):
    """Passes what only Django logs: an exception that is no outage, with the request's id.

    The code that answers any other 5xx has logged it already.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or is_down(error):
            return False
        record.msg = f"request {context_of(record.request).request_id} failed: {record.msg}"  # type: ignore[attr-defined]
        return True


_TERMINAL: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "masked": {
            "()": "config.log_config.MaskingFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "masked"},
        # A logger without a handler falls back to one of Python's own, which masks nothing.
        "null": {"class": "logging.NullHandler"},
    },
}
LOGGING = _TERMINAL | {
    "filters": {"unexpected": {"()": "config.log_config.UnexpectedErrors"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR", "filters": ["unexpected"]},
        # Anybody can send a foreign Host; it is answered 400, and under /api/ on record.
        "django.security.DisallowedHost": {"handlers": ["null"], "propagate": False},
        # The pool warns at each attempt; what a caller gets is logged once, by the guard.
        "psycopg.pool": {"level": "ERROR"},
    },
}
# Latchkey's own: what the web server logs looks the same.
GRANIAN_LOGGING = _TERMINAL | {
    "filters": {"unexpected": {"()": "config.log_config.UnexpectedErrors"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}
