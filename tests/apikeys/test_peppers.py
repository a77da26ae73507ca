"""Signing under numbered peppers."""

import hashlib
import hmac

import pytest

from apikeys.peppers import Peppers, parse_peppers

FIRST, SECOND = "11" * 32, "22" * 32
SIGNED = {"environment": "production", "key_id": "A1b2C3d4E5f6", "secret": "s" * 32}


def test_the_highest_number_signs_and_every_number_verifies() -> None:
    old, both = parse_peppers(f"1:{FIRST}"), parse_peppers(f"1:{FIRST},2:{SECOND}")
    digest = old.sign(1, **SIGNED)

    assert both.newest == 2
    assert both.verify(digest, 1, **SIGNED)
    assert not both.verify(digest, 2, **SIGNED)


def test_a_digest_is_an_hmac_sha256_bound_to_the_key_and_its_environment() -> None:
    digest = parse_peppers(f"1:{FIRST}").sign(1, **SIGNED)
    message = b"latchkey:production:A1b2C3d4E5f6:" + b"s" * 32

    assert digest == hmac.new(bytes.fromhex(FIRST), message, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("changed", ["environment", "key_id", "secret"])
def test_a_digest_moved_to_another_row_verifies_nothing(changed: str) -> None:
    peppers = parse_peppers(f"1:{FIRST}")
    digest = peppers.sign(1, **SIGNED)

    assert not peppers.verify(digest, 1, **{**SIGNED, changed: "other"})


def test_a_secret_signed_under_a_missing_pepper_is_refused() -> None:
    assert not Peppers({2: bytes.fromhex(SECOND)}).verify("00" * 32, 1, **SIGNED)


def test_a_cleared_digest_verifies_nothing() -> None:
    assert not parse_peppers(f"1:{FIRST}").verify("", 1, **SIGNED)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1:", "1:zz", f"0:{FIRST}", f"-1:{FIRST}", f"x:{FIRST}", f"1:{FIRST},1:{SECOND}",
     "1:aabb", f"40000:{FIRST}", f"²:{FIRST}"],
)  # fmt: skip
def test_unusable_peppers_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="pepper") as refused:
        parse_peppers(text)

    assert FIRST not in str(refused.value)
