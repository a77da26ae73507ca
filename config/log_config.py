"""Logging to the terminal, with secrets masked in every line."""

import json
import logging
from datetime import UTC, datetime
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


class JSONFormatter(MaskingFormatter):
    """One object of JSON a line; what a request's line says is in fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        # Each text, not the line: there a credential may follow the letter of an escape.
        for name, value in line.items():
            line[name] = mask(value) if isinstance(value, str) else value
        return json.dumps(line, ensure_ascii=False, default=str)


FORMATS: dict[str, dict[str, str]] = {
    "text": {
        "()": "config.log_config.MaskingFormatter",
        "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
    },
    "json": {"()": "config.log_config.JSONFormatter"},
}


def _terminal(form: str) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"masked": FORMATS[form]},
        "filters": {"unexpected": {"()": "config.log_config.UnexpectedErrors"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "masked"},
            # A logger without a handler falls back to one of Python's own, which masks nothing.
            "null": {"class": "logging.NullHandler"},
        },
    }


def of_django(form: str) -> dict[str, Any]:
    """Return Django's ``LOGGING`` for one of ``FORMATS``."""
    return _terminal(form) | {
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


def of_granian(form: str) -> dict[str, Any]:
    """Return what the web server logs with, so that its lines look the same."""
    server = {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
    return _terminal(form) | {"loggers": {"_granian": server}}
