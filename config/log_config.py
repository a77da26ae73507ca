"""What goes to the terminal: log lines, never with a secret, whoever logs it."""

import logging
from typing import Any

from apikeys.credentials import mask


class MaskingFormatter(logging.Formatter):
    """Masks the whole line, traceback included: a secret may stand in any part of it."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


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
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR"},
        # Anybody can send a foreign Host; it is answered 400, and under /api/ on record.
        "django.security.DisallowedHost": {"handlers": ["null"], "propagate": False},
        # The pool warns at each attempt; what a caller gets is logged once, by the guard.
        "psycopg.pool": {"level": "ERROR"},
    },
}
# Latchkey's own: what the web server logs looks the same.
GRANIAN_LOGGING = _TERMINAL | {
    "loggers": {"_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}}
}
