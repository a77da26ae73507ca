"""The forms of the admin that verify a password."""

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from audit.actors import actor_of
from audit.trail import record
from people.audited import StaffAction
from people.guesses import GuessGuard


class GuardedAuthenticationForm(GuessGuard, AuthenticationForm):
    """The login; with ``OIDC_ONLY`` for superusers whom the provider never signed in, alone."""

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", ""))
        cleaned: dict[str, Any] = self._verify(name, super().clean)
        return cleaned

    def confirm_login_allowed(self, user: User) -> None:
        """Answer somebody who may not come in this way as if the password were wrong."""
        super().confirm_login_allowed(user)
        if settings.OIDC_ONLY and (not user.is_superuser or _has_identity(user)):
            raise self.get_invalid_login_error()


class GuardedPasswordChangeForm(GuessGuard, AdminOwnPasswordChangeForm):
    """The change of one's own password."""

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self.request = request

    def clean_old_password(self) -> str:
        old: str = self._verify(self.user.get_username(), super().clean_old_password)
        return old

    def save(self, commit: bool = True) -> Any:
        with transaction.atomic():
            user = super().save(commit)
            record(user, StaffAction.PASSWORD_CHANGED, actor_of(self.request))
        return user


def _has_identity(account: User) -> bool:
    return bool(SocialAccount.objects.filter(user=account).exists())
