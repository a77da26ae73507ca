"""The form of a credential."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys import credentials
from apikeys.environments import TAGS, Environment
from tests.support.product import ROOT

PUBLISHED = re.compile(r"\blk_[a-z]+_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\b")
KEY_ID, SECRET = "A1b2C3d4E5f6", "0123456789abcdefghijABCDEFGHIJzZ"


def compose(environment: Environment = Environment.PRODUCTION) -> str:
    return credentials.compose("lk", environment, KEY_ID, SECRET)


@pytest.mark.parametrize("environment", Environment)
def test_a_new_credential_has_the_published_form(environment: Environment) -> None:
    key_id, secret = credentials.new_key_id(), credentials.new_secret()

    credential = credentials.compose("lk", environment, key_id, secret)

    assert PUBLISHED.fullmatch(credential)
    assert f"`{PUBLISHED.pattern}`" in (ROOT / "SECURITY.md").read_text()
    assert credential.startswith(f"lk_{environment.tag}_{key_id}_{secret}")


def test_the_tags_of_issued_credentials_stay() -> None:
    assert TAGS[:3] == ("prod", "stag", "dev")


def test_the_checksum_is_the_crc32_of_everything_before_it_in_base62() -> None:
    credential = compose()
    number = 0
    for digit in credential[-6:]:
        number = number * 62 + credentials.ALPHABET.index(digit)

    assert number == zlib.crc32(credential[:-6].encode())


def test_a_credential_is_taken_apart_again() -> None:
    parsed = credentials.parse(compose())

    assert parsed is not None
    assert (parsed.key_id, parsed.secret) == (KEY_ID, SECRET)


@given(st.integers(0, 56), st.sampled_from(credentials.ALPHABET))
def test_any_one_wrong_character_is_noticed(place: int, character: str) -> None:
    credential = compose()
    wrong = credential[:place] + character + credential[place + 1 :]

    parsed = credentials.parse(wrong)

    assert (parsed is not None) == (wrong == credential)


@given(st.text())
def test_any_other_text_is_refused_without_an_error(text: str) -> None:
    assert credentials.parse(text) is None


def test_a_credential_issued_under_another_prefix_is_still_read() -> None:
    assert credentials.parse(credentials.compose("acme", Environment.STAGING, KEY_ID, SECRET))


def test_a_parsed_secret_does_not_show_in_a_representation() -> None:
    assert SECRET not in repr(credentials.parse(compose()))


@pytest.mark.parametrize("slash", ["/", "//", "%2F", "/%252f", "\\/", "\\u002f/"])
def test_the_token_of_a_link_is_masked_however_its_slashes_are_written(slash: str) -> None:
    token = credentials.new_token()

    masked = credentials.mask(f"https://keys.example/handover{slash}{token}")

    assert masked == f"https://keys.example/handover{slash}***"


@pytest.mark.parametrize("length", [4, 10, 37, 38])
def test_masking_hides_a_secret_whole_or_cut_short(length: int) -> None:
    begun = compose()[: 21 + length]

    masked = credentials.mask(f"GET /x?key={begun} 401")

    assert masked == f"GET /x?key=lk_prod_{KEY_ID}_*** 401"


def test_secrets_do_not_repeat() -> None:
    assert len({credentials.new_secret() for _ in range(1000)}) == 1000
