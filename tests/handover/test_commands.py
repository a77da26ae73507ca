"""The commands that make a link in the place of a credential."""

import io
import json
import sys
from typing import Any

import pytest

from apikeys.models import ApiKey, Status
from handover.models import HandOver
from tests.support.api_client import Caller
from tests.support.command_line import Run
from tests.support.factories import issue
from tests.support.hand_overs import PASSPHRASE, Recipient, offer

pytestmark = pytest.mark.django_db


def credential_in(answer: Any) -> str:
    return str(answer.text.partition('<code class="secret">')[2].partition("<")[0])


def test_a_new_key_is_printed_as_a_link(run: Run) -> None:
    code, out, err = run(
        "create_api_key", "Partner", "--environment", "production", "--hand-over", "24"
    )

    assert code == 0
    assert out.startswith("http://127.0.0.1:8000/handover/")
    assert out.count("\n") == 1
    assert out.strip() not in err
    assert ApiKey.objects.get().status is Status.AWAITING
    credential = credential_in(Recipient().confirms(out.strip()))
    assert Caller(credential).get("key").json()["name"] == "Partner"


def test_json_has_the_link_and_no_key(run: Run) -> None:
    _, out, _ = run(
        "create_api_key", "Partner", "--environment", "production", "--hand-over", "1", "--json"
    )

    made = json.loads(out)
    assert made["key"] is None
    assert made["status"] == "awaiting_hand_over"
    assert Recipient().opens(made["hand_over_url"]).status_code == 200


def test_a_regenerated_key_keeps_its_secret_until_the_recipient_confirms(run: Run) -> None:
    old = issue()

    _, out, _ = run("regenerate_api_key", old.key.pk, "--hand-over", "24", "--overlap", "1h")

    assert Caller(old).get("key").status_code == 200
    credential = credential_in(Recipient().confirms(out.strip()))
    assert Caller(credential).get("key").status_code == 200
    assert Caller(old).get("key").status_code == 200


def test_a_passphrase_is_read_from_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSPHRASE}\n"))
    _, out, err = run(
        "create_api_key", "P", "--environment", "staging", "--hand-over", "9", "--passphrase"
    )

    assert PASSPHRASE not in out + err
    assert Recipient().confirms(out.strip()).status_code == 403
    assert Recipient().confirms(out.strip(), PASSPHRASE).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["--hand-over", "0"], ""),
        (["--hand-over", "169"], ""),
        (["--hand-over", "soon"], ""),
        (["--hand-over", "1", "--passphrase"], ""),
        # Closed, as by <&-.
        (["--hand-over", "1", "--passphrase"], None),
        (["--hand-over", "1", "--passphrase"], "short\n"),
        (["--passphrase"], f"{PASSPHRASE}\n"),
    ],
)
def test_bad_terms_are_one_line_on_stderr_and_make_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], typed: str | None
) -> None:
    monkeypatch.setattr(sys, "stdin", None if typed is None else io.StringIO(typed))
    key = issue().key

    for command in (
        ["create_api_key", "P", "--environment", "staging"],
        ["regenerate_api_key", key.pk],
    ):
        code, out, err = run(*command, *arguments)

        assert (code, out) == (2, "")
        assert err.strip().count("\n") == 0
    assert ApiKey.objects.get() == key
    assert not HandOver.objects.exists()


def test_a_status_filter_shows_keys_that_await_their_hand_over(run: Run) -> None:
    issue()
    key = offer().key

    _, out, _ = run("list_api_keys", "--status", "awaiting_hand_over", "--json")

    assert [shown["id"] for shown in json.loads(out)] == [key.pk]


def test_a_link_can_be_withdrawn(run: Run) -> None:
    offered = offer()

    _, first, _ = run("withdraw_hand_over", offered.key.pk)
    _, second, _ = run("withdraw_hand_over", offered.key.pk)

    assert "is withdrawn" in first
    assert "was not pending" in second
    assert Recipient().opens(offered).status_code == 404
