"""The people's door."""

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, make_staff

pytestmark = pytest.mark.django_db


@dataclass
class Clock:
    """The clock that django-ratelimit cuts its windows by, at a time that a test sets."""

    now: float


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stand still: a window that ends between two guesses begins a new count."""
    stopped = Clock(time.time())
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: stopped.now))
    return stopped


def attempt(name: str, password: str, address: str) -> Any:
    return Client(REMOTE_ADDR=address).post(
        reverse("admin:login"), {"username": name, "password": password}
    )


def test_the_right_password_opens_and_is_kept_as_argon2id() -> None:
    user = make_staff("Auditor")

    assert attempt(user.username, PASSWORD, "192.0.2.1").status_code == 302
    assert identify_hasher(user.password).algorithm == "argon2"
    assert user.password.startswith("argon2$argon2id$")


def test_an_address_that_guesses_is_stopped_whatever_names_it_tries() -> None:
    user = make_staff("Auditor")

    statuses = [attempt(f"guess{n}", "wrong", "192.0.2.2").status_code for n in range(25)]
    now_right = attempt(user.username, PASSWORD, "192.0.2.2")
    elsewhere = attempt(user.username, PASSWORD, "192.0.2.3")

    assert statuses[:20] == [200] * 20
    assert set(statuses[20:]) == {429}
    assert now_right.status_code == 429
    assert int(now_right["Retry-After"]) > 0
    assert elsewhere.status_code == 302


def test_a_name_that_is_guessed_at_is_closed_from_everywhere_for_five_minutes(
    clock: Clock,
) -> None:
    user = make_staff("Auditor")

    for n in range(11):
        attempt(user.username.upper(), "wrong", f"198.51.100.{n}")
    closed = attempt(user.username, PASSWORD, "203.0.113.1")
    clock.now += 300
    later = attempt(user.username, PASSWORD, "203.0.113.1")

    assert closed.status_code == 429
    assert later.status_code == 302


def test_logins_that_succeed_use_nothing_up() -> None:
    user = make_staff("Auditor")

    statuses = {attempt(user.username, PASSWORD, "192.0.2.9").status_code for _ in range(12)}

    assert statuses == {302}
