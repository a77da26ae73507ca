"""License keys can be read out, typed in, and told from typing errors."""

from hypothesis import given
from hypothesis import strategies as st

from customers.licenses import license_keys
from customers.licenses.license_keys import ALPHABET, LENGTH


def test_a_new_key_is_read_back_however_it_is_typed() -> None:
    key = license_keys.new()

    assert license_keys.parse(key) == key
    assert license_keys.parse(key.lower().replace("-", " ")) == key
    assert license_keys.parse(key.replace("0", "O").replace("1", "l")) == key
    assert len({license_keys.new() for _ in range(100)}) == 100


@given(st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(place: int, character: str) -> None:
    plain = license_keys.new().replace("-", "")
    changed = plain[:place] + character + plain[place + 1 :]

    assert (license_keys.parse(changed) is None) == (changed != plain)


def test_what_is_no_key_is_none() -> None:
    for text in ("", "x", "-" * 25, "U" * 25, license_keys.new() + "0", "é" * 25):
        assert license_keys.parse(text) is None


def test_a_masked_key_shows_its_first_and_last_group() -> None:
    key = license_keys.new()

    assert license_keys.masked(key) == f"{key[:5]}-*****-*****-*****-{key[-5:]}"
