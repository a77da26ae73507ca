"""The sessions in which people are signed in: where, since when, by which browser.

A session is listed from its first page on, by ``middleware``. Who ends one deletes it, so the next
request with its cookie is a stranger's.
"""

import re
import time
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from audit.actors import Actor, Source
from audit.trail import record
from backoffice.proofs import PROVED_AT
from people.audited import StaffAction
from people.guesses import caller

# Django's own: it knows the account by its id, however its holder proved to be that.
BACKEND = "django.contrib.auth.backends.ModelBackend"
LISTED, SEEN_AT = "session_listed", "session_seen_at"
# How old the time of a session's last page may be in the list.
SEEN_SECONDS = 300
BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"), ("Opera", r"OPR/"), ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|Chromium/|CriOS/"), ("Safari", r"Safari/"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iOS", "iPhone|iPad"), ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"), ("ChromeOS", "CrOS"), ("Linux", "Linux|X11"),
)  # fmt: skip


def begin(request: HttpRequest, account: User, how: str) -> None:
    """Sign somebody in who has proved everything that is asked for; ``how`` says what."""
    with transaction.atomic():
        login(request, account, backend=BACKEND)
        request.session[PROVED_AT] = time.time()
        # Now, and not with its first page: until then nobody could end it.
        keep_listed(request)
        actor = Actor(Source.ADMIN, account.get_username(), account, caller(request))
        record(account, StaffAction.SIGNED_IN, actor, reason=how)


def keep_listed(request: HttpRequest) -> None:
    """List the session of a request, anew when its key changed, and when it was seen."""
    session, now = request.session, time.time()
    if session.get(LISTED) != session.session_key:
        UserSession.objects.purge_and_list(request.user)
        UserSession.objects.filter(session_key=session.get(LISTED) or "").delete()
        UserSession.objects.create_from_request(request)
        session[LISTED] = session.session_key
        session[SEEN_AT] = now
    elif now - session.get(SEEN_AT, 0) > SEEN_SECONDS:
        UserSession.objects.filter(session_key=session.session_key).update(
            last_seen_at=timezone.now(), ip=caller(request)
        )
        session[SEEN_AT] = now


def of(account: User) -> list[UserSession]:
    """Return the sessions of an account that have not ended, the last used first."""
    alive = UserSession.objects.purge_and_list(account)
    return sorted(alive, key=lambda session: session.last_seen_at, reverse=True)


def end(account: User, session_id: int, *, actor: Actor) -> bool:
    """End one session of an account; False if it has ended."""
    with transaction.atomic():
        session = (
            UserSession.objects.select_for_update().filter(user=account, pk=session_id).first()
        )
        if session is None:
            return False
        what = f"{browser(session)} at {session.ip}"
        session.end()
        record(account, StaffAction.SESSION_ENDED, actor, reason=what)
    return True


def end_all(account: User, *, but: str | None = None) -> int:
    """End the sessions of an account, but the one with this key; whoever calls records why."""
    with transaction.atomic():
        others = UserSession.objects.filter(user=account).exclude(session_key=but or "")
        rows = list(others.select_for_update())
        for session in rows:
            session.end()
    return len(rows)


def browser(session: UserSession) -> str:
    """Return what the browser calls itself, in words."""
    agent = session.user_agent
    name = next((name for name, sign in BROWSERS if re.search(sign, agent)), "")
    system = next((name for name, sign in SYSTEMS if re.search(sign, agent)), "")
    return f"{name or 'Unknown browser'}{f' on {system}' if system else ''}"


def listed(request: HttpRequest, account: User) -> list[dict[str, Any]]:
    """Return what a page shows of each session."""
    return [
        {
            "pk": session.pk,
            "browser": browser(session),
            "address": session.ip,
            "began_at": session.created_at,
            "seen_at": session.last_seen_at,
            "is_current": session.session_key == request.session.session_key,
        }
        for session in of(account)
    ]
