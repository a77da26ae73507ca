"""The last active superuser stays one: without any, nobody could give rights to anybody.

Relied on by the sign-in through a provider and by the Staff pages of the admin.
"""

from django.contrib.auth.models import User

from database.refusals import Refused


def lock() -> None:
    """Lock all superusers, so that no two are demoted at once, each because of the other.

    Called before another account is locked: in any other order two would wait for each other.
    """
    list(User.objects.select_for_update().filter(is_superuser=True).order_by("pk"))


def are_last(*accounts: User) -> bool:
    """Whether no active superuser is left without these, as they are stored; under ``lock``."""
    active, ids = User.objects.filter(is_superuser=True, is_active=True), [a.pk for a in accounts]
    others = active.filter(is_staff=True).exclude(pk__in=ids)
    return active.filter(pk__in=ids).exists() and not others.exists()


def require_others(*accounts: User) -> None:
    if are_last(*accounts):
        raise Refused(
            "No active superuser would be left. Make another member of staff a superuser first."
        )
