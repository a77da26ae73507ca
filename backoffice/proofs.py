"""When a person last proved who they are, which acts that widen ask for.

A form that is refused for want of a proof is shown again with fields for one, and with all that was
typed; sent again, it brings the proof along. An app's config names in ``proofs`` what verifies
it, and in ``proof_fields`` what renders its fields.
"""

import time

from django.conf import settings
from django.http import HttpRequest
from django.utils.safestring import SafeString

from database.periodic_tasks import declared

# Where a session keeps it, in seconds since 1970.
PROVED_AT = "proved_at"
# What the names of the fields begin with.
PREFIX = "proof"


def is_fresh(request: HttpRequest) -> bool:
    """Whether the last proof in this session is young enough for an act that widens."""
    age = time.time() - request.session.get(PROVED_AT, 0)
    return bool(0 <= age < settings.REAUTHENTICATE_MINUTES * 60)


def take(request: HttpRequest) -> None:
    """Verify the proof that comes with a form, if one does, before the form acts."""
    if request.method == "POST" and any(
        value and name.startswith(f"{PREFIX}-") for name, value in request.POST.items()
    ):
        for verify in declared("proofs"):
            verify(request)


def fields(request: HttpRequest, form_id: str = "") -> SafeString:
    """Return the fields for a proof, for the form with this id, or within the form."""
    return SafeString("".join(render(request, form_id) for render in declared("proof_fields")))
