"""What stops a start before it can do harm."""

import secrets
import socket
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from apikeys.checks import check_peppers
from apikeys.peppers import parse_peppers
from config.server import startup_checks
from tests.support.factories import issue

pytestmark = pytest.mark.django_db

FIRST, SECOND = secrets.token_hex(32), secrets.token_hex(32)


def test_a_pepper_that_stored_keys_need_must_be_there(settings: Any) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    issue()
    check_peppers()
    settings.API_KEY_PEPPERS = parse_peppers(f"2:{SECOND}")

    with pytest.raises(ImproperlyConfigured, match="API_KEY_PEPPERS lacks pepper 1"):
        check_peppers()


def test_a_pepper_made_anew_under_an_old_number_is_noticed(settings: Any) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    check_peppers()
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{SECOND}")

    with pytest.raises(ImproperlyConfigured, match="another value"):
        check_peppers()


def test_a_pepper_is_added_without_ado(settings: Any) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    check_peppers()
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST},2:{SECOND}")

    check_peppers()


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
