"""The people's door."""

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import Client
from django.urls import reverse

from config import settings as product_settings
from tests.support.factories import PASSWORD, make_staff

pytestmark = pytest.mark.django_db

NEW = "a new and long passphrase"


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


def test_the_right_password_opens_and_is_kept_as_argon2id(settings: Any) -> None:
    settings.PASSWORD_HASHERS = product_settings.PASSWORD_HASHERS
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


def test_guessing_at_a_name_closes_it_for_the_network_that_guesses_alone(clock: Clock) -> None:
    user = make_staff("Auditor")

    statuses = [
        attempt(user.username.upper(), "wrong", "198.51.100.1").status_code for _ in range(12)
    ]
    closed = attempt(user.username, PASSWORD, "198.51.100.1")
    elsewhere = attempt(user.username, PASSWORD, "203.0.113.1")
    clock.now += 300
    later = attempt(user.username, PASSWORD, "198.51.100.1")

    assert statuses == [200] * 10 + [429] * 2
    assert closed.status_code == 429
    assert 0 < int(closed["Retry-After"]) <= 300
    assert elsewhere.status_code == 302
    assert later.status_code == 302


def test_an_ipv6_network_is_one_whatever_address_of_it_guesses() -> None:
    user = make_staff("Auditor")

    for n in range(10):
        attempt(user.username, "wrong", f"2001:db8:0:1::{n + 1}")

    assert attempt(user.username, PASSWORD, "2001:db8:0:1::ffff").status_code == 429
    assert attempt(user.username, PASSWORD, "2001:db8:0:2::1").status_code == 302


def test_a_name_guessed_at_from_many_networks_leaves_each_one_failure_an_hour(
    clock: Clock,
) -> None:
    user = make_staff("Auditor")
    for n in range(100):
        attempt(user.username, "wrong", f"198.51.100.{n}")

    guesser = [attempt(user.username, "wrong", "192.0.2.50").status_code for _ in range(3)]
    guessed = attempt(user.username, PASSWORD, "192.0.2.50")
    fresh = attempt(user.username, PASSWORD, "192.0.2.51")
    other_name = attempt(make_staff("Auditor").username, PASSWORD, "192.0.2.50")
    clock.now += 3600
    later = attempt(user.username, PASSWORD, "192.0.2.50")

    assert guesser == [200, 429, 429]
    assert guessed.status_code == 429
    assert fresh.status_code == 302
    assert other_name.status_code == 302
    assert later.status_code == 302


def test_verifying_passwords_is_bounded_for_a_network_right_ones_too() -> None:
    user = make_staff("Auditor")

    statuses = [attempt(user.username, PASSWORD, "192.0.2.60").status_code for _ in range(62)]

    assert statuses == [302] * 60 + [429] * 2


def test_logins_that_succeed_use_nothing_up() -> None:
    user = make_staff("Auditor")

    statuses = {attempt(user.username, PASSWORD, "192.0.2.9").status_code for _ in range(12)}

    assert statuses == {302}


def test_old_passwords_are_guessed_at_no_faster_than_at_the_login() -> None:
    user = make_staff("Auditor")
    visitor = Client(REMOTE_ADDR="192.0.2.70")
    visitor.force_login(user)

    def change(old: str) -> Any:
        fields = {"old_password": old, "new_password1": NEW, "new_password2": NEW}
        return visitor.post(reverse("admin:password_change"), fields)

    statuses = [change("wrong").status_code for _ in range(12)]
    refused = change(PASSWORD)
    login = attempt(user.username, PASSWORD, "192.0.2.70")
    visitor.defaults["REMOTE_ADDR"] = "192.0.2.71"
    elsewhere = change(PASSWORD)

    assert statuses == [200] * 10 + [429] * 2
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    assert "too many wrong passwords" in refused.text
    assert login.status_code == 429
    assert elsewhere.status_code == 302
    assert attempt(user.username, NEW, "192.0.2.71").status_code == 302
