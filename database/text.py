"""Which characters a line of text may hold that people read and compare.

What cannot be seen makes different names indistinguishable, or one read as another: controls,
line breaks, marks that turn the direction of writing, blanks without width. Names, reasons and
products are held to this wherever they come from, and commands show such a character as an escape.
"""

import re
from unicodedata import category, name

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Of other categories, and drawn as nothing (Unicode's Default_Ignorable_Code_Point) or as a blank.
BLANKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)
# Of category Cf and drawn (Unicode's Prepended_Concatenation_Mark): signs around digits.
SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
# The zero-width joiner and non-joiner, which Persian, Indic scripts and emoji are written with.
JOINERS = "\u200c\u200d"
# They choose how the character before is drawn: an emoji, an ideograph, a Mongolian letter.
EMOJI_SELECTORS = "\ufe0e\ufe0f"
IDEOGRAPH_SELECTORS = re.compile("[\ufe00-\ufe02\U000e0100-\U000e01ef]")
MONGOLIAN_SELECTORS = "\u180b\u180c\u180d\u180f"
# Emoji that are no symbols to Unicode: information, two exclamations, a wavy dash.
OTHER_EMOJI = "\u2139\u203c\u2049\u3030"
# A black flag and the name of a region in unseen letters: England, Scotland and Wales. Any other
# region is drawn as the flag alone.
BLACK_FLAG = "\U0001f3f4"
FLAGS = tuple(
    BLACK_FLAG + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
FLAG_LENGTH = 7


def check_line(text: str) -> None:
    """Raise ``ValueError`` unless all of ``text`` can be seen; the message follows its name."""
    if text.isascii() and text.isprintable() and not text.isspace():
        return
    for place, character in enumerate(text):
        if _is_unseen(text, place):
            is_control = category(character) in {"Cc", "Zl", "Zp"}
            what = "a control character or a line break" if is_control else "which cannot be seen"
            raise ValueError(f"holds U+{ord(character):04X}, {what}. Remove it.")
    if text and not any(category(character)[0] in "LNPS" for character in text):
        raise ValueError("shows nothing. Use letters or digits.")


def escaped(text: str) -> str:
    """Return ``text`` as one line that is safe on a terminal: what is unseen as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if _is_unseen(text, place) else character
        for place, character in enumerate(text)
    )


def _is_unseen(text: str, place: int) -> bool:
    character = text[place]
    if character in SIGNS:
        return False
    if category(character) not in UNSEEN and not BLANKS.match(character):
        return False
    before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
    if character in JOINERS:
        return not (_is_joined(before) and _is_joined(after))
    return not (_selects(character, before) or _is_in_flag(text, place))


def _is_joined(neighbour: str) -> bool:
    """Whether a joiner may change how ``neighbour`` is drawn; in cased scripts it never does."""
    if neighbour.isascii():
        return False
    kind = category(neighbour)
    return kind[0] in "LMS" and kind not in {"Lu", "Ll", "Lt"}


def _selects(selector: str, before: str) -> bool:
    if before.isascii():
        return False
    if selector in EMOJI_SELECTORS:
        return category(before) in {"So", "Sm"} or before in OTHER_EMOJI
    if selector in MONGOLIAN_SELECTORS:
        return name(before, "").startswith("MONGOLIAN LETTER")
    is_ideograph = name(before, "").startswith("CJK ")
    return bool(IDEOGRAPH_SELECTORS.match(selector)) and is_ideograph


def _is_in_flag(text: str, place: int) -> bool:
    start = text.rfind(BLACK_FLAG, max(0, place - FLAG_LENGTH + 1), place)
    return start >= 0 and text.startswith(FLAGS, start)
