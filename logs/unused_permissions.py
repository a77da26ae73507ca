"""Which of its permissions a key does not use; the shipper notes when each was used last."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from apikeys.models import ApiKey
from logs.models import PermissionUse

# A permission that was not used for so long is not needed.
UNUSED_FOR = timedelta(days=30)


def unused_permissions(
    keys: Iterable[ApiKey], since: datetime | None = None
) -> dict[str, list[str]]:
    """Return by key id the permissions not used ``since`` then, or else never used."""
    rows = list(keys)
    uses = PermissionUse.objects.filter(key__in=rows)
    if since is not None:
        uses = uses.filter(last_used_at__gte=since)
    used: dict[str, set[str]] = defaultdict(set)
    for key_id, permission in uses.values_list("key_id", "permission"):
        used[key_id].add(permission)
    return {key.pk: [code for code in key.permissions if code not in used[key.pk]] for key in rows}
