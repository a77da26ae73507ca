"""Where people are signed in: listed, and ended by themselves and by superusers."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from audit.models import Event
from people import sessions
from tests.support.factories import PASSWORD, make_staff

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"


@pytest.fixture(autouse=True)
def fresh_budgets() -> None:
    """Forget the failures of other tests."""
    cache.clear()


def signed_in(user: User, address: str, agent: str = FIREFOX) -> Client:
    client = Client(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    client.post(reverse("admin:login"), {"username": user.username, "password": PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


def end(client: Client, user: User, number: int) -> int:
    return client.post(reverse("admin:end_session", args=(user.pk, number))).status_code


def test_each_session_is_listed_with_its_address_and_browser() -> None:
    user = make_staff("Auditor")
    here = signed_in(user, "192.0.2.1")
    signed_in(user, "198.51.100.7", SAFARI)

    page = here.get(reverse("admin:security")).text

    assert "Firefox on Linux <strong>this one</strong>" in page
    assert "192.0.2.1, since" in page
    assert "Safari on iOS" in page
    assert "198.51.100.7, since" in page


def test_its_owner_ends_a_session() -> None:
    user = make_staff("Auditor")
    here, there = signed_in(user, "192.0.2.1"), signed_in(user, "198.51.100.7")
    assert is_in(there)
    (other,) = [session for session in sessions.of(user) if session.ip == "198.51.100.7"]

    assert end(here, user, other.pk) == 302

    assert is_in(here)
    assert not is_in(there)
    event = Event.objects.get(action="session_ended")
    assert (event.object_label, event.reason) == (
        user.username, "Firefox on Linux at 198.51.100.7",
    )  # fmt: skip


def test_a_superuser_sees_and_ends_the_sessions_of_others() -> None:
    user, boss = make_staff("Auditor"), make_staff(is_superuser=True)
    theirs, here = signed_in(user, "198.51.100.7"), signed_in(boss, "192.0.2.1")
    (session,) = sessions.of(user)

    assert "198.51.100.7" in here.get(reverse("admin:sessions_of", args=(user.pk,))).text
    assert end(here, user, session.pk) == 302

    assert not is_in(theirs)


def test_nobody_else_does() -> None:
    user, other = make_staff("Auditor"), make_staff("Key administrator")
    theirs, here = signed_in(user, "198.51.100.7"), signed_in(other, "192.0.2.1")
    (session,) = sessions.of(user)

    assert here.get(reverse("admin:sessions_of", args=(user.pk,))).status_code == 403
    assert end(here, user, session.pk) == 403
    # Nor by naming one's own account with another's session.
    end(here, other, session.pk)

    assert is_in(theirs)


def test_signing_out_ends_the_session() -> None:
    user = make_staff("Auditor")
    client = signed_in(user, "192.0.2.1")
    stolen = Client()
    stolen.cookies = client.cookies.copy()  # type: ignore[assignment]

    client.post(reverse("admin:logout"))

    assert not is_in(stolen)
    assert sessions.of(user) == []


def test_a_session_stays_one_when_its_password_changes() -> None:
    user, new = make_staff("Auditor"), "another horse battery staple"
    client = signed_in(user, "192.0.2.1")
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    client.post(reverse("admin:password_change"), fields)

    assert is_in(client)
    assert len(sessions.of(User.objects.get(pk=user.pk))) == 1
