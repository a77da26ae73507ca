"""Which characters names may hold, and how the others are shown."""

import pytest

from database.text import check_line, escaped


@pytest.mark.parametrize(
    "text",
    [
        "Main Website Integration",
        "Größe «Schlüssel» 鍵 🔑",
        "\u0645\u06cc\u200c\u062e\u0648",
        "क्\u200dष",
        "👩\u200d💻 build",
        "❤\ufe0f",
        "\u2139\ufe0f Info",
        "👁\ufe0f\u200d🗨\ufe0f",
        "👨🏽\u200d💻",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f Scotland",
        "葛\U000e0100城",
        "\u1820\u180b",
        "\u0600\u0661\u0662",
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
        "Acme\ufe0f", "Acme\U000e0100", "Acme\u180b", "Acme\u2065", "Acme\U000e0fff", "1\ufe0f",
        "Zoë\ufe0f", "Zoë\u200d", "Zoë\u200dë", "Ж\u200dди", "क\u200d", "क\u200dz",
        "葛\ufe0f", "葛\U000e0100\U000e0100", "\ufe0f❤", "❤\U000e0100", "❤\ufe0f\ufe0f",
        "🏴\U000e0067\U000e007f", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f\U000e007f",
        "\ufe0f", " \ufe0f ",
    ],
)  # fmt: skip
def test_what_cannot_be_seen_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^holds U\+[0-9A-F]{4,6}, "):
        check_line(text)


@pytest.mark.parametrize("text", ["\u0301", " \u0301 "])
def test_what_shows_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^shows nothing\. "):
        check_line(text)


def test_an_escape_is_one_line() -> None:
    assert escaped("a\nb\x1b[1m\u202e\udcff") == r"a\nb\x1b[1m\u202e\udcff"
    assert escaped("Acme\ufe0f\u3164") == r"Acme\ufe0f\u3164"
