"""Cursors of lists: newest first, by a cursor that stays good while rows are added.

Ids sort by when they were made (``database.uuid7``), so a page is the rows below the last
id of the page before it: one range of an index, however deep.
"""

import base64
import binascii
from typing import Any
from uuid import UUID

from rest_framework import serializers


class CursorField(serializers.CharField):
    """The cursor of a page, read as the id that it continues after."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            return UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            raise serializers.ValidationError(
                "This is not a cursor. Use next_cursor of the page before."
            ) from None


def encode(last: UUID) -> str:
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")
