"""What happens to a managing key while it acts on another."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models.signals import post_save

from apikeys import lifecycle
from apikeys.models import ApiKey, SecretVersion
from apikeys.models.rights import excess, rights_of
from database.refusals import Refused
from provisioning.manifests.applying import apply
from provisioning.manifests.kinds import SECTIONS
from provisioning.manifests.reading import Entry, Manifest
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue

pytestmark = pytest.mark.django_db(transaction=True)

MANAGE = ["keys:manage", "logs:read", "jobs:run"]


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.mark.parametrize("turn", range(5))
def test_a_key_made_after_its_manager_was_narrowed_has_no_more_than_that(turn: int) -> None:
    issued = issue(permissions=MANAGE)
    caller = Caller(issued)
    body = {"name": "Raced", "permissions": ["jobs:run"]}

    *answers, _ = at_once(
        *(lambda: caller.post("keys", body) for _ in range(4)),
        lambda: lifecycle.update(issued.key, actor=ACTOR, permissions=["keys:manage"]),
    )

    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    refused = [answer.json() for answer in answers if answer.status_code != 201]
    assert {problem["required_permission"] for problem in refused} <= {"jobs:run"}
    assert set(ApiKey.objects.filter(name="Raced").values_list("pk", flat=True)) == made
    assert caller.post("keys", body).json()["required_permission"] == "jobs:run"


def test_two_keys_that_manage_each_other_do_not_wait_for_each_other() -> None:
    one, two = issue(permissions=MANAGE), issue(permissions=MANAGE)
    callers = Caller(one), Caller(two)

    answers = at_once(
        *(lambda: callers[0].patch(f"keys/{two.key.pk}", {"name": "By one"}) for _ in range(3)),
        *(lambda: callers[1].patch(f"keys/{one.key.pk}", {"name": "By two"}) for _ in range(3)),
    )

    assert {answer.status_code for answer in answers} == {200}
    assert ApiKey.objects.get(pk=one.key.pk).name == "By two"


def test_of_two_keys_that_revoke_each_other_one_is_left() -> None:
    one, two = issue(permissions=MANAGE), issue(permissions=MANAGE)
    callers = Caller(one), Caller(two)

    answers = at_once(
        lambda: callers[0].post(f"keys/{two.key.pk}/revoke"),
        lambda: callers[1].post(f"keys/{one.key.pk}/revoke"),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert ApiKey.objects.active().count() == 1


def test_a_regenerate_while_the_other_key_is_widened_hands_out_no_more_than_the_manager() -> None:
    manager, other = issue(permissions=["keys:manage"]), issue()
    caller = Caller(manager)

    answer, _ = at_once(
        lambda: caller.post(f"keys/{other.key.pk}/regenerate"),
        lambda: lifecycle.update(other.key, actor=ACTOR, permissions=["jobs:run"]),
    )

    key = ApiKey.objects.get(pk=other.key.pk)
    assert excess(rights_of(manager.key), rights_of(key)) == ("permissions", "jobs:run")
    if answer.status_code == 200:
        # It came first: the person widened a key whose secret was out already.
        assert answer.json()["permissions"] == []
    else:
        assert answer.json()["required_permission"] == "jobs:run"
        assert key.secrets.count() == 1


def test_an_answer_shows_the_key_as_it_was_committed() -> None:
    manager, other = issue(permissions=["keys:manage"]), issue()

    def widen_once_committed(**_: Any) -> None:
        transaction.on_commit(
            lambda: lifecycle.update(other.key, actor=ACTOR, permissions=["jobs:run"])
        )

    post_save.connect(widen_once_committed, SecretVersion)
    try:
        answer = Caller(manager).post(f"keys/{other.key.pk}/regenerate")
    finally:
        post_save.disconnect(widen_once_committed, SecretVersion)

    assert ApiKey.objects.get(pk=other.key.pk).permissions == ("jobs:run",)
    assert answer.json()["permissions"] == []


def test_of_two_owners_that_declare_one_key_at_once_one_is_told_so() -> None:
    entry = Entry({"environment": "production", "name": "Declared twice"}, "line 1")
    both_made = threading.Barrier(2)

    def wait_for_the_other(**_: Any) -> None:
        # SQLite has one writer: there the second begins when the first has ended.
        with contextlib.suppress(threading.BrokenBarrierError):
            both_made.wait(1)

    def apply_as(owner: str) -> str:
        sections: dict[str, tuple[Entry, ...]] = dict.fromkeys(SECTIONS, ()) | {"keys": (entry,)}
        try:
            with transaction.atomic():
                (step,) = apply(Manifest(owner, sections), actor=ACTOR)
        except Refused as refused:
            return str(refused)
        return step.note or step.verb

    post_save.connect(wait_for_the_other, ApiKey)
    try:
        told = at_once(lambda: apply_as("platform"), lambda: apply_as("rivals"))
    finally:
        post_save.disconnect(wait_for_the_other, ApiKey)

    assert ApiKey.objects.filter(name="Declared twice").count() == 1
    assert "create" in told
    (other,) = set(told) - {"create"}
    assert other == "not made by this owner" or "at the same moment" in other
