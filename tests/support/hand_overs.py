"""Links as a recipient has them."""

from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from apikeys.environments import Environment
from apikeys.models import ApiKey
from handover import lifecycle
from handover.lifecycle import Offer
from tests.support.factories import ACTOR

PASSPHRASE = "seven green bottles"


def offer(
    key: ApiKey | None = None, *, hours: int = 24, passphrase: str = "", **fields: Any
) -> Offer:
    """Make a link for a new key, or for the next secret of one."""
    terms = lifecycle.terms(hours, passphrase)
    if key is not None:
        return lifecycle.regenerate(key, terms, actor=ACTOR, **fields)
    fields.setdefault("name", "Handed over")
    fields.setdefault("environment", Environment.PRODUCTION)
    return lifecycle.create(terms, actor=ACTOR, **fields)


def path_of(offered: Offer | str) -> str:
    return urlsplit(offered if isinstance(offered, str) else offered.url).path


class Recipient:
    """Somebody who has a link, and nothing else."""

    def __init__(self, address: str = "198.51.100.7") -> None:
        self.client = Client(
            enforce_csrf_checks=True, raise_request_exception=False, REMOTE_ADDR=address
        )

    def opens(self, offered: Offer | str, **headers: str) -> Any:
        return self.client.get(path_of(offered), headers=headers)

    def confirms(self, offered: Offer | str, passphrase: str = "", **headers: str) -> Any:
        data = {"passphrase": passphrase} if passphrase else {}
        return self.client.post(path_of(offered), data, headers=headers)
