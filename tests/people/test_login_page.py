"""What the login shows, and who comes in by password, where there is an identity provider."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.checks import run_checks
from django.db import DEFAULT_DB_ALIAS
from django.test import Client
from django.urls import reverse

from apikeys.checks import TAG
from tests.config.test_settings import ROOT, start
from tests.support.factories import PASSWORD, make_staff
from tests.support.providers import ROLES

pytestmark = pytest.mark.django_db
LOGIN = reverse("admin:login")
PROVIDER = {
    "OIDC_ISSUER": "https://id.example.com",
    "OIDC_CLIENT_ID": "latchkey",
    "OIDC_CLIENT_SECRET": "a secret",
    "OIDC_ROLES": ROLES,
}


def log_in(name: str, network: str) -> int:
    fields = {"username": name, "password": PASSWORD}
    return Client(REMOTE_ADDR=network).post(f"{LOGIN}?local", fields).status_code


def test_the_button_stands_beside_the_form(settings: Any) -> None:
    without = Client().get(LOGIN).text
    settings.OIDC_ISSUER = "https://id.example.com"
    both = Client().get(LOGIN).text

    assert "Sign in with" not in without
    assert "Sign in with id.example.com" in both
    assert 'name="password"' in both


def test_the_form_is_hidden_until_it_is_asked_for(settings: Any) -> None:
    settings.OIDC_ISSUER, settings.OIDC_ONLY = "https://id.example.com", True

    hidden, shown = Client().get(LOGIN).text, Client().get(f"{LOGIN}?local").text

    assert "Sign in with id.example.com" in hidden
    assert 'name="password"' not in hidden
    assert 'name="password"' in shown


def test_only_superusers_come_in_by_password_then(settings: Any) -> None:
    settings.OIDC_ISSUER, settings.OIDC_ONLY = "https://id.example.com", True
    boss, auditor = make_staff(is_superuser=True), make_staff("Auditor")

    assert log_in(boss.username, "192.0.2.80") == 302
    assert log_in(auditor.username, "192.0.2.81") == 200


def test_a_superuser_of_the_provider_comes_in_through_it_alone(settings: Any) -> None:
    settings.OIDC_ISSUER, settings.OIDC_ONLY = "https://id.example.com", True
    boss = make_staff(is_superuser=True)
    SocialAccount.objects.create(user=boss, provider=settings.OIDC_ISSUER, uid="1")

    assert log_in(boss.username, "192.0.2.82") == 200
    settings.OIDC_ONLY = False
    assert log_in(boss.username, "192.0.2.82") == 302


def test_a_role_that_does_not_exist_stops_the_start(settings: Any) -> None:
    settings.OIDC_ROLES = (("a", "Auditor"), ("b", "superuser"), ("c", "Gardener"))

    errors = run_checks(tags=[TAG], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])

    assert [error.msg for error in errors] == [
        "OIDC_ROLES names the role 'Gardener', which does not exist."
    ]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("OIDC_ISSUER", {"OIDC_ISSUER": "http://id.example.com"}),
        ("OIDC_ISSUER", {"OIDC_ISSUER": "id.example.com"}),
        ("OIDC_CLIENT_ID", {"OIDC_CLIENT_ID": ""}),
        ("OIDC_CLIENT_SECRET", {"OIDC_CLIENT_SECRET": ""}),
        ("OIDC_ROLES", {"OIDC_ROLES": ""}),
        ("OIDC_ROLES", {"OIDC_ROLES": "keys-admins"}),
        ("OIDC_ONLY", {"OIDC_ISSUER": "", "OIDC_ONLY": "on"}),
    ],
)
def test_a_provider_that_is_half_configured_stops_the_start(
    tmp_path: Path, name: str, changes: dict[str, str]
) -> None:
    done = start(tmp_path, **PROVIDER | changes)

    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(name) or f" {name} " in f" {done.stderr}"


@pytest.mark.parametrize(
    "issuer",
    ["https://ada:hunter2@id.example.com", "http://ada:hunter2@id.example.com", "ada:hunter2@[x"],
)
def test_a_password_in_the_providers_address_is_refused_and_not_repeated(
    tmp_path: Path, issuer: str
) -> None:
    done = start(tmp_path, **PROVIDER | {"OIDC_ISSUER": issuer})

    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "OIDC_ISSUER" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_the_libraries_of_sign_in_are_loaded_when_they_are_needed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        # Redis' client loads one of them itself.
        env={"PATH": os.environ["PATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == []


LOADED = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
import django
django.setup()
import config.urls
print(*(name for name in ("fido2", "jwt", "cryptography", "qrcode") if name in sys.modules))
"""
