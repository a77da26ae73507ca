"""What reaches the terminal."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from apikeys import credentials
from apikeys.environments import Environment
from config.log_config import MaskingFormatter
from tests.support.factories import make_staff

SECRET = "0123456789abcdefghijABCDEFGHIJzZ"
CREDENTIAL = credentials.compose("lk", Environment.PRODUCTION, "A1b2C3d4E5f6", SECRET)


def test_a_credential_is_masked_in_message_arguments_and_traceback() -> None:
    try:
        raise RuntimeError(f"no such path /{CREDENTIAL}")
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", 40, "", 1, "Not Found: %s", (f"/api/{CREDENTIAL}",), info)

    line = MaskingFormatter().format(record)

    assert "A1b2C3d4E5f6_***" in line
    assert SECRET[:4] not in line


def fail_with(error: Exception) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


BROKEN = {
    "view": (
        "apikeys.guard.authentication.ApiKeyAuthentication.authenticate",
        "/api/staging/v1/key",
    ),
    "address": ("apikeys.guard.middleware.resolve", "/api/staging/v1/key"),
    "middleware": (
        "config.admin_site.middleware.LiveConnectionMiddleware.__call__",
        "/admin/apikeys/apikey/",
    ),
    "admin": ("apikeys.admin.keys.KeyAdmin.get_queryset", "/admin/apikeys/apikey/"),
    "page": ("config.monitoring.health.spool.backlog", "/readyz"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("where", BROKEN)
@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), OperationalError("gone")], ids=["defect", "outage"]
)
def test_a_5xx_is_logged_once_with_the_id_of_its_request(
    where: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    staff = Client(raise_request_exception=False)
    staff.force_login(make_staff("Auditor"))
    broken, address = BROKEN[where]
    monkeypatch.setattr(broken, fail_with(error))
    # What does not work in a test besides.
    monkeypatch.setattr("config.monitoring.health._outcome", lambda check: "ok")

    response = staff.get(address)

    assert response.status_code in (500, 503)
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert response["X-Request-ID"] in record.getMessage()
    assert (record.exc_info is not None) is isinstance(error, RuntimeError)


@pytest.mark.django_db
def test_what_is_not_ready_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    response = Client().get("/readyz")

    assert response.status_code == 503
    assert [record.getMessage() for record in caplog.records] == [
        "not ready: worker: no worker is running"
    ]
