"""How a link is written and found: the token is in its address, a digest of it in the database.

The digest is signed with a pepper, so that who reads the database can neither open a link nor make
one.
"""

import re

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.credentials import TOKEN_LENGTH
from apikeys.peppers import Peppers
from handover.models import HandOver

TOKEN = re.compile(rf"[0-9A-Za-z]{{{TOKEN_LENGTH}}}")
# In the place of an environment: no secret of a key is signed so.
PURPOSE = "hand-over"


def address_of(token: str) -> str:
    """Return the whole address: the link is sent to somebody, so no request says its origin."""
    return str(settings.ADMIN_URL) + reverse("hand-over", args=(token,))


def digest_of(token: str) -> str:
    peppers: Peppers = settings.API_KEY_PEPPERS
    return _signed(peppers, peppers.newest, token)


def find(token: str) -> HandOver | None:
    """Return the pending hand-over of a link; None for one that is used up or never was."""
    if not TOKEN.fullmatch(token):
        return None
    peppers: Peppers = settings.API_KEY_PEPPERS
    digests = [_signed(peppers, number, token) for number in peppers]
    found = HandOver.objects.select_related("key").filter(digest__in=digests).first()
    return found if found is not None and is_pending(found) else None


def find_again(hand_over: HandOver) -> HandOver | None:
    """Return a hand-over as it is now; None if it is not pending any more."""
    found = HandOver.objects.select_related("key").filter(pk=hand_over.pk).first()
    return found if found is not None and is_pending(found) else None


def is_pending(hand_over: HandOver) -> bool:
    is_early = timezone.now() < hand_over.expires_at
    return is_early and lifecycle.is_pending(hand_over.key, hand_over.pk)


def _signed(peppers: Peppers, number: int, token: str) -> str:
    return peppers.sign(number, environment=PURPOSE, key_id="", secret=token)
