"""What goes to the terminal: log lines, with the secret of every credential masked."""

import logging

from apikeys.credentials import mask


class MaskingFormatter(logging.Formatter):
    """Masks the whole line, traceback included: a secret may stand in any part of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return mask(super().format(record))
