"""The account of a person whom the provider signs in, and the roles that the groups give it.

A person is who has the subject at the issuer: a name or an e-mail address links to no account.
Whoever could choose an address at the provider would otherwise take over the account that has it.
"""

import re
import unicodedata

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from audit.actors import Actor, Source
from audit.trail import record
from people import sessions, superusers
from people.audited import StaffAction, changes, staff_state
from people.oidc.mapping import SUPERUSER, roles_of
from people.oidc.provider import Claims, SignInRefused

# What Django's user names consist of.
UNWANTED = re.compile(r"[^\w.@+-]+")
MAX_NAME_LENGTH = 140
MAX_SUBJECT_LENGTH = 191
MAX_EMAIL_LENGTH = 254


def account_of(claims: Claims, address: str) -> User:
    """Return the account of a person, made if there is none, with the roles of the groups.

    Raise ``SignInRefused`` if there must be none; what the account could do is then taken away.
    """
    if len(claims.subject) > MAX_SUBJECT_LENGTH:
        raise SignInRefused(
            "The provider names you by more characters than can be kept. Ask who runs it."
        )
    try:
        return _account_of(claims, address)
    except IntegrityError:
        # Somebody who signs in for the first time, twice at once, or a name taken meanwhile.
        return _account_of(claims, address)


def _account_of(claims: Claims, address: str) -> User:
    roles = roles_of(claims.groups, settings.OIDC_ROLES)
    with transaction.atomic():
        superusers.lock()
        identities = SocialAccount.objects.filter(provider=claims.issuer, uid=claims.subject)
        identity = identities.first()
        account = User.objects.select_for_update().get(pk=identity.user_id) if identity else None
        if account is None and roles:
            account = _create(claims, roles, address)
        elif account is not None and account.is_active:
            _update(account, claims, roles, address)
    if account is None or not (account.is_staff and account.is_active):
        raise _refusal(account)
    return account


def _refusal(account: User | None) -> SignInRefused:
    if account is not None and not account.is_active:
        return SignInRefused(
            "Your account is deactivated. Ask an administrator to activate it.",
            "The account is deactivated.",
        )
    return SignInRefused(
        "None of your groups at the provider has a role here."
        " Ask an administrator which group you need.",
        "No group has a role.",
    )


def _create(claims: Claims, roles: set[str], address: str) -> User:
    account = User(username=_free_name(claims), is_staff=True, is_superuser=SUPERUSER in roles)
    account.set_unusable_password()
    _describe(account, claims)
    account.save()
    account.groups.set(Group.objects.filter(name__in=roles))
    SocialAccount.objects.create(user=account, provider=claims.issuer, uid=claims.subject)
    state = changes(None, staff_state(account))
    state["identity"] = [None, f"{claims.subject} at {claims.issuer}"]
    record(account, StaffAction.CREATED, _actor(account, address), state)
    return account


def _update(account: User, claims: Claims, roles: set[str], address: str) -> None:
    """Give the account exactly the roles of the groups; none also ends its sessions."""
    before, reason = staff_state(account), "By the groups at the provider."
    is_superuser = SUPERUSER in roles
    if account.is_superuser and not is_superuser and superusers.are_last(account):
        is_superuser, reason = True, "The last active superuser stays one, whatever its groups."
    account.is_superuser = is_superuser
    account.is_staff = bool(roles) or is_superuser
    _describe(account, claims)
    account.save()
    account.groups.set(Group.objects.filter(name__in=roles))
    if differences := changes(before, staff_state(account)):
        record(account, StaffAction.UPDATED, _actor(account, address), differences, reason)
    if not account.is_staff:
        sessions.end_all(account)


def _describe(account: User, claims: Claims) -> None:
    account.first_name, account.last_name = claims.first_name[:150], claims.last_name[:150]
    if len(claims.email) <= MAX_EMAIL_LENGTH:
        account.email = claims.email


def _free_name(claims: Claims) -> str:
    """Return a user name that nobody has, whatever its case."""
    wanted = unicodedata.normalize("NFKC", claims.name or claims.email or claims.subject)
    name = UNWANTED.sub("-", wanted)[:MAX_NAME_LENGTH] or "person"
    taken = {
        found.casefold()
        for found in User.objects.filter(username__istartswith=name).values_list(
            "username", flat=True
        )
    }
    candidates = (name if number == 1 else f"{name}-{number}" for number in range(1, 10_000))
    return next(candidate for candidate in candidates if candidate.casefold() not in taken)


def _actor(account: User, address: str) -> Actor:
    return Actor(Source.ADMIN, account.get_username(), account, address)
