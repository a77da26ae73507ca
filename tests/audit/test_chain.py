"""The chain of the audit trail: whole whatever writers do, and broken by every other change."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction

from apikeys import catalogue, lifecycle
from apikeys.models import CustomPermission
from audit import chain
from audit.actors import Actor, Source
from audit.models import Event, Seal
from audit.trail import record
from customers.customers import lifecycle as customer_lifecycle
from database.uuid7 import new_id
from tests.support.command_line import Run
from tests.support.factories import ACTOR, issue, make_customer
from tests.support.product import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


def permissions(number: int) -> list[Event]:
    for one in range(number):
        catalogue.create(f"orders:p{one}", actor=ACTOR, label=f"P {one}")
    return list(Event.objects.order_by("pk"))


def test_events_are_sealed_in_the_order_of_their_commits_without_a_gap() -> None:
    for event in permissions(3):
        assert Seal.objects.filter(event_id=event.pk).exists()

    report = chain.verify()
    assert (report.fault, report.head.sequence, report.events) == (None, 3, 3)
    assert report.head == chain.head()


def test_what_is_rolled_back_leaves_no_gap() -> None:
    key = issue().key
    with transaction.atomic():
        record(key, "updated", ACTOR)
        transaction.set_rollback(True)
    with transaction.atomic():
        record(key, "revoked", ACTOR)
        with transaction.atomic():
            record(key, "updated", ACTOR)
            transaction.set_rollback(True)
        record(key, "activated", ACTOR)

    assert [event.action for event in Event.objects.about(key)] == [
        "activated", "revoked", "created",
    ]  # fmt: skip
    assert (chain.verify().fault, chain.head().sequence) == (None, 3)


def test_an_event_outside_of_its_actions_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        record(issue().key, "updated", ACTOR)


def test_what_is_hard_to_store_comes_back_as_it_was_sealed() -> None:
    key = issue().key
    changes = {
        "z": [1e2, 1.0], "a": [10**30, True], "é\u2028": ["\\", '"\u0001'], "n": [None, 1e-9],
    }  # fmt: skip
    actor = Actor(Source.API, "ключ 🔑", address="2001:db8:0:0::1")
    with transaction.atomic():
        record(key, "updated", actor, changes, reason="line\nline")

    assert Event.objects.about(key)[0].changes == changes
    assert chain.verify().fault is None


def alter(events: list[Event]) -> None:
    Event.objects.filter(pk=events[2].pk).update(actor_name="somebody else")


def alter_contents(events: list[Event]) -> None:
    Event.objects.filter(pk=events[2].pk).update(changes={"label": [None, "Other"]})


def remove(events: list[Event]) -> None:
    Event.objects.filter(pk=events[2].pk).delete()


def remove_with_seal(events: list[Event]) -> None:
    Seal.objects.filter(event_id=events[2].pk).delete()
    Event.objects.filter(pk=events[2].pk).delete()


def swap(events: list[Event]) -> None:
    first, second = (Seal.objects.get(event_id=event.pk) for event in events[2:4])
    Seal.objects.filter(pk__in=[first.pk, second.pk]).delete()
    first.event_id, second.event_id = second.event_id, first.event_id
    Seal.objects.bulk_create([first, second])


def forge_seal(events: list[Event]) -> None:
    Seal.objects.filter(event_id=events[2].pk).update(hash="0" * 64)


def empty(events: list[Event]) -> None:
    Event.objects.filter(pk=events[2].pk).update(object_label="", reason="", changes={})
    Seal.objects.filter(event_id=events[2].pk).update(salt="")


@pytest.mark.parametrize(
    "tamper", [alter, alter_contents, remove, remove_with_seal, swap, forge_seal, empty]
)
def test_the_first_event_that_was_touched_is_named(
    tamper: Callable[[list[Event]], None], run: Run
) -> None:
    events = permissions(6)

    tamper(events)

    fault = chain.verify().fault
    assert fault is not None
    assert fault.sequence == 3
    code, out, err = run("verify_audit")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "Event 3" in err


def test_an_event_that_was_put_in_is_named(run: Run) -> None:
    permissions(2)
    event = Event.objects.create(
        id=new_id(), source="api", actor_name="nobody", action="created",
        object_type="apikeys.apikey", object_id="x",
    )  # fmt: skip

    code, out, err = run("verify_audit", "--json")

    assert code == 3
    assert json.loads(out)["fault"]["event"] == str(event.pk)
    assert "was put in" in err


def test_an_end_that_was_cut_off_is_found_by_what_was_noted(run: Run) -> None:
    events = permissions(4)
    noted = str(chain.head())
    assert run("verify_audit", "--expect", noted)[:2] == (0, f"4 events are whole.\n{noted}\n")
    Seal.objects.filter(sequence__gt=3).delete()
    Event.objects.filter(pk=events[3].pk).delete()

    assert run("verify_audit")[0] == 0
    code, _, err = run("verify_audit", "--expect", noted)

    assert code == 3
    assert "cut off" in err
    catalogue.create("orders:more", actor=ACTOR, label="More")
    assert "written anew" in run("verify_audit", "--expect", noted)[2]
    assert run("verify_audit", "--expect", "4")[0] == 2


def test_a_deleted_customers_contents_go_and_the_chain_stays_whole(run: Run) -> None:
    customer = customer_lifecycle.create(environment="staging", actor=ACTOR, name="Acme")
    customer_lifecycle.update(customer, actor=ACTOR, fields={"email": "a@b.example"})
    identifier = str(customer.pk)

    customer_lifecycle.delete(customer, actor=ACTOR)

    events = Event.objects.filter(object_id=identifier).order_by("pk")
    assert [(event.object_label, event.changes) for event in events[:2]] == [("", {}), ("", {})]
    assert not Seal.objects.filter(event_id__in=[e.pk for e in events[:2]]).exclude(salt="")
    assert run("verify_audit")[1].startswith("3 events are whole, 2 of deleted customers.")


def test_the_contents_of_another_deleted_object_may_not_go() -> None:
    events = permissions(3)
    catalogue.delete(CustomPermission.objects.get(code="orders:p2"), actor=ACTOR)
    assert chain.verify().fault is None

    empty(events)

    fault = chain.verify().fault
    assert fault is not None
    assert fault.sequence == 3


def test_a_customer_made_and_deleted_in_one_transaction_breaks_nothing() -> None:
    with transaction.atomic():
        customer = customer_lifecycle.create(environment="staging", actor=ACTOR, name="Acme")
        customer_lifecycle.delete(customer, actor=ACTOR)

    assert (chain.verify().fault, chain.head().sequence) == (None, 2)


WRITER = """
import os, signal, sys
import django
django.setup()
from django.db import transaction
from audit.actors import Actor, Source
from audit.kinds import Subject
from audit.trail import record
from database.connections import before_commit
def die(values):
    os.kill(os.getpid(), signal.SIGKILL)
number = sys.argv[1]
for turn in range(int(sys.argv[2])):
    with transaction.atomic():
        subject = Subject("apikeys.apikey", number, f"{number} {turn}")
        for _ in range(2):
            record(subject, "updated", Actor(Source.COMMAND, "writer"), {"turn": [None, turn]})
        if sys.argv[3:] and turn == 5:
            before_commit.add(die, None)
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """What has another process use this test's database."""
    name, url = str(connection.settings_dict["NAME"]), os.environ.get("DATABASE_URL", "")
    url = urlsplit(url)._replace(path=f"/{name}").geturl() if url else f"sqlite:///{name}"
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}


def test_eight_processes_write_one_chain_and_one_that_is_killed_leaves_no_trace(
    environment: dict[str, str],
) -> None:
    turns = 10
    arguments = [[str(number), str(turns)] for number in range(8)]
    arguments[7].append("dies")

    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, *given], cwd=ROOT, env=environment)
        for given in arguments
    ]
    codes = [writer.wait(120) for writer in writers]

    report = chain.verify()
    assert codes == [0] * 7 + [-9]
    assert report.fault is None
    assert report.head.sequence == Event.objects.count() == 7 * turns * 2 + 5 * 2


def test_who_deletes_what_others_refer_to_and_who_refers_to_it_do_not_wait_for_each_other() -> None:
    """A deferred foreign key is checked at the commit, where it may wait for another's row."""
    customer = make_customer()
    failures: list[BaseException] = []

    def work(action: Callable[[], object]) -> None:
        try:
            for _ in range(15):
                action()
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    def scope() -> None:
        key = issue(customers=[customer.pk]).key
        lifecycle.update(key, actor=ACTOR, customers=None)

    def touch() -> None:
        customer_lifecycle.update(customer, actor=ACTOR, fields={"name": str(new_id())})

    threads = [threading.Thread(target=work, args=[action]) for action in (scope, touch) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert chain.verify().fault is None
