"""What stops a start before it can do harm."""

import secrets
import socket
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS

from apikeys.checks import TAG
from apikeys.peppers import parse_peppers
from config.server import startup_checks
from jobs.registry import job_types
from tests.support.factories import issue

pytestmark = pytest.mark.django_db

FIRST, SECOND = secrets.token_hex(32), secrets.token_hex(32)


def found() -> list[tuple[str | None, str]]:
    """Return id and beginning of each error of the checks that a server makes at its start."""
    errors = run_checks(tags=[TAG], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])
    return [(error.id, error.msg[:30]) for error in errors]


def test_a_pepper_that_stored_keys_need_must_be_there(settings: Any) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    issue()
    assert found() == []
    settings.API_KEY_PEPPERS = parse_peppers(f"2:{SECOND}")

    assert found() == [("apikeys.E004", "API_KEY_PEPPERS lacks pepper 1")]


def test_a_pepper_made_anew_under_an_old_number_is_noticed(settings: Any) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    assert found() == []
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{SECOND}")

    assert found() == [("apikeys.E005", "API_KEY_PEPPERS gives pepper 1")]


def test_a_pepper_is_added_without_ado(settings: Any) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    assert found() == []
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST},2:{SECOND}")

    assert found() == []


def test_a_port_in_use_is_named(settings: Any) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        settings.HOST, settings.PORT = listener.getsockname()

        with pytest.raises(ImproperlyConfigured, match=f"PORT {settings.PORT} is in use"):
            startup_checks.check_address()


def test_a_host_that_is_not_here_is_named(settings: Any) -> None:
    settings.HOST = "192.0.2.1"

    with pytest.raises(ImproperlyConfigured, match="HOST"):
        startup_checks.check_address()


def test_a_module_of_job_types_that_is_not_there_is_named(settings: Any) -> None:
    settings.JOB_TYPE_MODULES = ["nowhere.to_be_found"]
    job_types.cache_clear()

    assert found() == [("jobs.E001", "JOB_TYPE_MODULES names a modul")]
