"""What somebody probably meant who wrote a word that is none of those known."""

from collections.abc import Collection
from difflib import get_close_matches

# More than these are no help in one line.
MAX_LISTED = 20


def suggestion(word: object, known: Collection[str], otherwise: str = "") -> str:
    """Return a sentence: what was probably meant, else ``otherwise``, or all that there is."""
    written = str(word)
    close = [name for name in known if written and name.startswith(written)]
    close += get_close_matches(written, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    if otherwise or len(known) > MAX_LISTED:
        return otherwise
    return f"Use one of {', '.join(known)}."
