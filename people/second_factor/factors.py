"""Every change of a second factor, and whether a code is one of the account's.

A code of an authenticator app is accepted once (RFC 6238 §5.2): the last counter is stored with the
app, under lock. Recovery codes are used up one by one. What both are verified with is encrypted
(``people.adapters``), so a copy of the database is not a second factor.
"""

from typing import NamedTuple

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from audit.actors import Actor
from audit.trail import record
from database.refusals import Refused
from people import sessions
from people.audited import StaffAction

Type = Authenticator.Type
APP, CODES, PASSKEY = "authenticator app", "recovery codes", "passkey"
MAX_PASSKEYS = 20


class Added(NamedTuple):
    """A factor that was added, and the recovery codes that were made with the first one."""

    factor: Authenticator
    recovery_codes: list[str]


def of(account: User) -> "QuerySet[Authenticator]":
    """Return the factors of an account; recovery codes alone are none."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user=account)
    return found.exclude(type=Type.RECOVERY_CODES)


def recovery_codes_of(account: User) -> Authenticator | None:
    found: Authenticator | None = Authenticator.objects.filter(
        user=account, type=Type.RECOVERY_CODES
    ).first()
    return found


def is_required_of(account: User) -> bool:
    required = settings.REQUIRE_SECOND_FACTOR
    return bool(required == "all" or (required == "superusers" and account.is_superuser))


@sensitive_variables("code", "digits", "secret")
def accepts(account: User, code: str) -> str:
    """Use up a code; return what kind it was of, blank if it is none of the account's."""
    digits = code.replace(" ", "").replace("-", "")
    with transaction.atomic():
        factors = Authenticator.objects.select_for_update().filter(user=account)
        app = factors.filter(type=Type.TOTP).first()
        if app is not None and _use_counter(app, decrypt(app.data["secret"]), digits):
            return APP
        codes = factors.filter(type=Type.RECOVERY_CODES).first()
        if codes is not None and codes.wrap().validate_code(digits):
            factors.filter(pk=codes.pk).update(last_used_at=timezone.now())
            return CODES
    return ""


@sensitive_variables("secret", "code")
def add_app(account: User, secret: str, code: str, *, actor: Actor, session_key: str) -> Added:
    """Add the authenticator app that shows ``code`` for ``secret``; the session alone goes on."""
    with transaction.atomic():
        _lock(account)
        if of(account).filter(type=Type.TOTP).exists():
            raise Refused("There is an authenticator app already. Remove it first.")
        app = totp.TOTP.activate(account, secret).instance
        if not _use_counter(app, secret, code.replace(" ", "")):
            raise Refused(
                "The code is not the one that the app shows now."
                " Wait for the next one, and see that the phone's clock is right.",
                field="code",
            )
        return _added(app, APP, actor, session_key)


def add_passkey(account: User, factor: Authenticator, *, actor: Actor, session_key: str) -> Added:
    """Add a passkey that the browser has made and ``passkeys`` has verified."""
    with transaction.atomic():
        _lock(account)
        if of(account).filter(type=Type.WEBAUTHN).count() >= MAX_PASSKEYS:
            raise Refused(f"There are {MAX_PASSKEYS} passkeys. Remove one first.")
        factor.save()
        return _added(factor, _name(factor), actor, session_key)


def remove(account: User, factor_id: int, *, actor: Actor) -> None:
    """Remove a factor; with the last one the recovery codes go too."""
    with transaction.atomic():
        _lock(account)
        factor = of(account).filter(pk=factor_id).first()
        if factor is None:
            return
        is_last = not of(account).exclude(pk=factor.pk).exists()
        if is_last and is_required_of(account):
            raise Refused("A second factor is required of you. Add another before you remove this.")
        record(account, StaffAction.FACTOR_REMOVED, actor, reason=_name(factor))
        factor.delete()
        if is_last:
            Authenticator.objects.filter(user=account).delete()


def renew_recovery_codes(account: User, *, actor: Actor) -> list[str]:
    """Make new recovery codes; those from before open nothing any more."""
    with transaction.atomic():
        _lock(account)
        if not of(account).exists():
            raise Refused("There is no second factor to recover. Add one first.")
        Authenticator.objects.filter(user=account, type=Type.RECOVERY_CODES).delete()
        return _make_codes(account, actor)


def reset(account: User, *, actor: Actor, reason: str) -> int:
    """Remove every factor of somebody who lost them, and end every session."""
    with transaction.atomic():
        _lock(account)
        number = of(account).count()
        Authenticator.objects.filter(user=account).delete()
        sessions.end_all(account)
        record(account, StaffAction.FACTORS_RESET, actor, reason=reason)
    return number


def _lock(account: User) -> None:
    list(User.objects.select_for_update().filter(pk=account.pk))


def _added(factor: Authenticator, name: str, actor: Actor, session_key: str) -> Added:
    """Record a new factor, and end the other sessions: they have not proved it."""
    account: User = factor.user
    ended = sessions.end_all(account, but=session_key)
    record(account, StaffAction.FACTOR_ADDED, actor, {"sessions": [ended + 1, 1]}, reason=name)
    codes = [] if recovery_codes_of(account) else _make_codes(account, actor)
    return Added(factor, codes)


def _make_codes(account: User, actor: Actor) -> list[str]:
    record(account, StaffAction.CODES_MADE, actor)
    return [f"{code[:4]}-{code[4:]}" for code in RecoveryCodes.activate(account).generate_codes()]


@sensitive_variables("secret", "code")
def _use_counter(app: Authenticator, secret: str, code: str) -> bool:
    """Accept the code of a counter that is later than any accepted before, and store that."""
    used = app.data.get("last_counter", 0)
    for counter in totp.yield_hotp_counters_from_time():
        expected = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if counter > used and constant_time_compare(code, expected):
            app.data["last_counter"] = counter
            app.last_used_at = timezone.now()
            app.save(update_fields=["data", "last_used_at"])
            return True
    return False


def _name(factor: Authenticator) -> str:
    return APP if factor.type == Type.TOTP else f"{PASSKEY} {factor.data['name']}"
