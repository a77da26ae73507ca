"""Keys that are made or regenerated through the API and handed over."""

import json
from typing import Any

import pytest

from apikeys import lifecycle as keys
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey, IdempotentRequest, SecretVersion
from handover.models import HandOver
from tests.support.api_client import Caller, record_of
from tests.support.factories import ACTOR, issue
from tests.support.hand_overs import PASSPHRASE, Recipient, path_of

pytestmark = pytest.mark.django_db

MANAGE = ["keys:read", "keys:manage", "customers:read"]
HANDED = {"name": "Handed over", "hand_over": 24}


def managing(**fields: Any) -> tuple[IssuedKey, Caller]:
    issued = issue(permissions=MANAGE, **fields)
    return issued, Caller(issued)


def test_a_new_key_is_answered_with_a_link_and_without_a_credential() -> None:
    _, caller = managing()

    answer = caller.post("keys", HANDED)

    made = answer.json()
    assert answer.status_code == 201
    assert made["key"] is None
    assert made["status"] == "awaiting_hand_over"
    assert caller.get(f"keys/{made['id']}").json()["status"] == "awaiting_hand_over"
    assert not SecretVersion.objects.filter(key=made["id"]).exists()
    assert Recipient().confirms(made["hand_over_url"]).status_code == 200
    assert caller.get(f"keys/{made['id']}").json()["status"] == "active"


def test_a_list_can_be_narrowed_to_keys_that_await_their_hand_over() -> None:
    _, caller = managing()
    made = caller.post("keys", HANDED).json()

    listed = caller.get("keys?status=awaiting_hand_over").json()["data"]

    assert [key["id"] for key in listed] == [made["id"]]


def test_a_regenerated_key_goes_on_with_its_secret_until_the_recipient_confirms() -> None:
    _, caller = managing()
    old = issue()

    answer = caller.post(f"keys/{old.key.pk}/regenerate", {"hand_over": 1})

    assert answer.json()["key"] is None
    assert Caller(old).get("key").status_code == 200
    assert Recipient().confirms(answer.json()["hand_over_url"]).status_code == 200
    assert Caller(old).get("key").json()["code"] == "key_invalid"


def test_without_a_hand_over_nothing_is_said_of_one() -> None:
    _, caller = managing()

    assert "hand_over_url" not in caller.post("keys", {"name": "Plain"}).json()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"hand_over": 0}, "hand_over"),
        ({"hand_over": 169}, "hand_over"),
        ({"hand_over": "24"}, "hand_over"),
        ({"hand_over": 24, "passphrase": "short"}, "passphrase"),
        ({"hand_over": 24, "passphrase": 12345678}, "passphrase"),
        ({"passphrase": PASSPHRASE}, "passphrase"),
    ],
)
def test_terms_that_cannot_be_are_refused(fields: dict[str, Any], named: str) -> None:
    _, caller = managing()
    key = issue().key

    for path, body in (("keys", {"name": "N"}), (f"keys/{key.pk}/regenerate", {})):
        answer = caller.post(path, {**body, **fields})

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [named]
    assert not HandOver.objects.exists()


def test_a_change_takes_no_hand_over() -> None:
    _, caller = managing()
    key = issue().key

    assert caller.patch(f"keys/{key.pk}", {"hand_over": 24}).status_code == 400


def test_a_link_gives_no_more_than_the_managing_key_has() -> None:
    _, caller = managing()
    wider = issue(permissions=["jobs:run"]).key

    created = caller.post("keys", {**HANDED, "permissions": ["jobs:run"]})
    regenerated = caller.post(f"keys/{wider.pk}/regenerate", {"hand_over": 24})

    for answer in (created, regenerated):
        assert answer.status_code == 403
        assert answer.json()["required_permission"] == "jobs:run"
    assert not HandOver.objects.exists()


def test_a_replay_and_every_record_are_without_the_link_and_the_passphrase() -> None:
    _, caller = managing()
    body = {**HANDED, "passphrase": PASSPHRASE}

    first = caller.post("keys", body, HTTP_IDEMPOTENCY_KEY="once")
    again = caller.post("keys", body, HTTP_IDEMPOTENCY_KEY="once")

    link = first.json()["hand_over_url"]
    token = path_of(link).rpartition("/")[2]
    assert again.json() == {**first.json(), "hand_over_url": None}
    assert ApiKey.objects.filter(name="Handed over").count() == 1
    written = json.dumps(record_of(first)) + str(list(IdempotentRequest.objects.values()))
    assert "Handed over" in written
    assert token not in written
    assert PASSPHRASE not in written


def test_revoke_withdraws_the_link() -> None:
    _, caller = managing()
    made = caller.post("keys", HANDED).json()

    caller.post(f"keys/{made['id']}/revoke", {})
    caller.post(f"keys/{made['id']}/activate", None)

    assert Recipient().confirms(made["hand_over_url"]).status_code == 404
    assert caller.get(f"keys/{made['id']}").json()["status"] == "awaiting_hand_over"


def test_a_revoked_key_is_not_handed_over() -> None:
    _, caller = managing()
    key = issue().key
    keys.revoke(key, actor=ACTOR)

    answer = caller.post(f"keys/{key.pk}/regenerate", {"hand_over": 24})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
