"""Texts that people write for others to read, and for the record: bounded, and without a key."""

from apikeys.credentials import mask
from database.refusals import Refused
from database.text import check_line


def clean_text(text: str, *, field: str, longest: int) -> str:
    """Return what people wrote for others to read, and for the record, without a key in it."""
    text = text.strip()
    if len(text) > longest:
        raise Refused(
            f"The {field} has {len(text)} characters. Use {longest} at most.", field=field
        )
    try:
        check_line(text)
    except ValueError as error:
        raise Refused(f"The {field} {error}", field=field) from None
    if mask(text) != text:
        raise Refused(
            f"The {field} holds an API key. Leave the key out; its key id says which it is.",
            field=field,
        )
    return text
