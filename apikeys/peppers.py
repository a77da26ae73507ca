"""Signing secrets: HMAC-SHA-256 under numbered peppers that live outside the database.

The highest number signs, every number verifies, so that a pepper is replaced by adding one
and removed once no stored secret was signed under it.
"""

import hmac
from collections.abc import Iterator, Mapping

MIN_BYTES = 16
MAX_NUMBER = 32_767


class Peppers:
    """The peppers of a deployment, by number."""

    def __init__(self, peppers: Mapping[int, bytes]) -> None:
        self.newest = max(peppers)
        self._values = dict(peppers)
        # Looking the algorithm up costs more than running it, so each request copies a signer.
        self._signers = {
            number: hmac.new(pepper, digestmod="sha256") for number, pepper in peppers.items()
        }

    def __contains__(self, number: int) -> bool:
        """Whether secrets signed under ``number`` can still be verified."""
        return number in self._signers

    def __iter__(self) -> Iterator[int]:
        return iter(self._signers)

    def fingerprint(self, number: int) -> str:
        """Return 64 hex digits that tell one pepper from another and nothing about it."""
        return self.sign(number, environment="", key_id="", secret="fingerprint")  # noqa: S106

    def written(self) -> str:
        """Return them as ``parse_peppers`` reads them, for a backup that is encrypted."""
        return ",".join(f"{number}:{value.hex()}" for number, value in self._values.items())

    def sign(self, number: int, *, environment: str, key_id: str, secret: str) -> str:
        """Return 64 hex digits: the secret's HMAC, bound to its key and environment.

        Binding both means that a digest copied to another row, or a row moved to another
        environment by hand, verifies nothing.
        """
        signer = self._signers[number].copy()
        signer.update(f"latchkey:{environment}:{key_id}:{secret}".encode("ascii"))
        return signer.hexdigest()

    def verify(
        self, digest: str, number: int, *, environment: str, key_id: str, secret: str
    ) -> bool:
        """Compare ``secret`` with a digest in constant time; False for a missing pepper."""
        if number not in self._signers:
            return False
        signed = self.sign(number, environment=environment, key_id=key_id, secret=secret)
        return hmac.compare_digest(digest, signed)


def parse_peppers(text: str) -> Peppers:
    """Read ``1:hex,2:hex``.

    Raises ``ValueError`` for a number that is repeated or out of range, for what is not hex and
    for fewer than 16 bytes. The message never carries the value.
    """
    peppers: dict[int, bytes] = {}
    for part in text.split(","):
        number, _, value = part.strip().partition(":")
        if not (number.isascii() and number.isdigit()) or not 0 < int(number) <= MAX_NUMBER:
            raise ValueError("a pepper's number is missing or out of range")
        try:
            pepper = bytes.fromhex(value)
        except ValueError:
            raise ValueError(f"pepper {int(number)} is not hexadecimal") from None
        if len(pepper) < MIN_BYTES:
            raise ValueError(f"pepper {int(number)} is shorter than {MIN_BYTES} bytes")
        if int(number) in peppers:
            raise ValueError(f"pepper {int(number)} is given twice")
        peppers[int(number)] = pepper
    return Peppers(peppers)
