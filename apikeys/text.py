"""Which characters a line of text may hold that people read and compare.

What cannot be seen makes two names look alike, or one read as another: controls, line breaks,
marks that turn the direction of writing, blanks without width. Names, reasons and products are
held to this wherever they come from, and commands show such a character as an escape.
"""

from unicodedata import category

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# The zero-width joiner and non-joiner, which Persian, Indic scripts and emoji are written with.
JOINERS = "\u200c\u200d"
# Of other categories, and drawn as nothing (Unicode's Default_Ignorable_Code_Point) or as a blank.
BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"


def check_line(text: str) -> None:
    """Raise ``ValueError`` unless all of ``text`` can be seen; the message follows its name."""
    for place, character in enumerate(text):
        if _is_unseen(text, place):
            is_control = category(character) in {"Cc", "Zl", "Zp"}
            what = "a control character or a line break" if is_control else "which cannot be seen"
            raise ValueError(f"holds U+{ord(character):04X}, {what}. Remove it.")
    if text and not any(category(character)[0] in "LNPS" for character in text):
        raise ValueError("shows nothing. Use letters or digits.")


def escaped(text: str) -> str:
    """Return ``text`` as one line that is safe on a terminal: what is unseen as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if _is_unseen(text, place) else character
        for place, character in enumerate(text)
    )


def _is_unseen(text: str, place: int) -> bool:
    character = text[place]
    if character in JOINERS:
        before = text[place - 1 : place]
        return before.isascii() or category(before)[0] not in "LMS"
    return category(character) in UNSEEN or character in BLANKS
