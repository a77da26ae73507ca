"""``manage.py explain`` on a terminal and for programs."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from apikeys import lifecycle
from tests.support.factories import ACTOR, issue, make_request

pytestmark = pytest.mark.django_db


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command("explain", *arguments)
    return capsys.readouterr().out


def refused() -> Any:
    key = issue(name="Shop").key
    log = make_request(
        key=key, path="/api/production/v1/customers", status=403, code="permission_denied"
    )
    lifecycle.update(key, actor=ACTOR, permissions=["customers:read"])
    return log


def test_a_refusal_is_explained_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, str(refused().pk))

    assert "GET /api/production/v1/customers: 403 permission_denied" in text
    assert "Permission refused it: permission_denied. It would pass now." in text
    assert "permissions: none -> customers:read" in text
    assert "by a test (command)" in text


def test_a_refusal_is_explained_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    log = refused()

    said = json.loads(printed(capsys, str(log.pk), "--json"))

    assert said["request"] == str(log.pk)
    assert said["then"] == {
        "outcome": "refused",
        "check": "Permission",
        "code": "permission_denied",
        "detail": "The key lacks Customer Read. Ask an administrator to grant customers:read.",
        "agrees": True,
    }
    assert said["now"]["outcome"] == "passed"
    assert {"check": "Permission", "then": "refused", "now": "passed"} in said["checks"]
    assert said["changes"][0]["changes"] == {"permissions": ["none", "customers:read"]}


@pytest.mark.parametrize("text", ["nothing", str(UUID(int=7))])
def test_what_is_no_request_is_said_in_one_line(text: str) -> None:
    with pytest.raises(CommandError) as error:
        call_command("explain", text)

    assert error.value.returncode == 2
    assert text in str(error.value)
