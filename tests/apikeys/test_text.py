"""Which characters names may hold, and how the others are shown."""

import pytest

from apikeys.text import check_line, escaped


@pytest.mark.parametrize(
    "text",
    [
        "Main Website Integration",
        "Größe «Schlüssel» 鍵 🔑",
        "\u0645\u06cc\u200c\u062e\u0648",
        "क्\u200dष",
        "👩\u200d💻 build",
        "❤\ufe0f",
        "e\u0301",
        "",
    ],
)
def test_what_can_be_seen_is_taken(text: str) -> None:
    check_line(text)

    assert escaped(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a\nb", "a\tb", "a\x00b", "a\x7fb", "a\x9bb", "a\u2028b", "a\ud800b", "a\x1b[31mb",
        "pay\u202eroll", "a\u2066b", "a\u200fb", "a\u061cb", "\u200b", "a\u200bb", "a\ufeff",
        "a\u00adb", "a\u2060b", "ad\u200dmin", "\u200dadmin", "क\u200d\u200dष", "\U000e0041",
        "\u3164", "a\u115fb", "\u2800", "a\u034fb",
    ],
)  # fmt: skip
def test_what_cannot_be_seen_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^holds U\+[0-9A-F]{4,6}, "):
        check_line(text)


@pytest.mark.parametrize("text", ["\ufe0f", "\u0301", " \ufe0f "])
def test_what_shows_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^shows nothing\. "):
        check_line(text)


def test_an_escape_is_one_line() -> None:
    assert escaped("a\nb\x1b[1m\u202e\udcff") == r"a\nb\x1b[1m\u202e\udcff"
