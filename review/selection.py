"""The keys that somebody selected in the review queue: some of them by id, or all of a finding."""

from django.http import QueryDict
from django.utils import timezone

from apikeys.validation import MAX_CHANGED
from database.refusals import Refused
from review import findings


def selected_ids(asked: QueryDict) -> list[str]:
    """Return the ids that are named, or of all keys of a finding the most urgent."""
    if "all" not in asked:
        return asked.getlist("key")
    finding = findings.BY_NAME.get(str(asked["all"]))
    if finding is None:
        raise Refused("There is no such finding. Go back to the review queue.")
    rows = finding.keys(timezone.now())
    return list(rows.values_list("pk", flat=True)[:MAX_CHANGED])
