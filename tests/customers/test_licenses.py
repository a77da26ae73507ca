"""The licenses endpoints, and the life of a license."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from apikeys.permissions import Permission
from audit.models import Event
from customers.licenses import license_keys
from customers.models import Activation
from tests.support.api_client import Caller
from tests.support.factories import issue, make_activation, make_customer, make_license

pytestmark = pytest.mark.django_db

P = Permission
MANAGE = [P.LICENSES_READ, P.LICENSES_MANAGE]


@pytest.fixture
def manager() -> Caller:
    """A key that reads and manages licenses."""
    return Caller(issue(permissions=MANAGE))


def test_a_license_is_issued_with_a_key_of_its_own(manager: Caller) -> None:
    customer = make_customer()

    made = manager.post(
        "licenses",
        {"customer": str(customer.pk), "product": "Pro", "seats": 3, "metadata": {"a": 1}},
    )

    body = made.json()
    assert made.status_code == 201
    assert license_keys.parse(body["license_key"]) == body["license_key"]
    assert (body["status"], body["seats"], body["expires_at"]) == ("active", 3, None)
    assert made["Location"].endswith(body["id"])
    assert made["ETag"] == manager.get(f"licenses/{body['id']}")["ETag"]
    event = Event.objects.get(object_id=body["id"])
    assert (event.action, event.source) == ("issued", "api")


@pytest.mark.parametrize(
    "wrong",
    [
        {"customer": "x"},
        {"customer": "01a20881-33df-75e3-9ae7-06529ad5028c"},
        {"seats": 0},
        {"seats": 10**9},
        {"product": ""},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"metadata": []},
        {"license_key": "MINE"},
    ],
)
def test_what_cannot_be_issued_is_refused(manager: Caller, wrong: dict[str, Any]) -> None:
    body = {"customer": str(make_customer().pk), "product": "Pro"} | wrong

    refused = manager.post("licenses", body)

    assert (refused.status_code, refused.json()["code"]) == (400, "validation_failed")
    assert [error["field"] for error in refused.json()["errors"]] == list(wrong)


def test_a_key_is_whole_for_managers_on_the_license_itself_and_else_masked() -> None:
    license_ = make_license()
    manager = Caller(issue(permissions=MANAGE))
    reader = Caller(issue(permissions=[P.LICENSES_READ]))
    path = f"licenses/{license_.pk}"

    assert manager.get(path).json()["license_key"] == license_.license_key
    masked = license_keys.masked(license_.license_key)
    assert reader.get(path).json()["license_key"] == masked
    assert manager.get("licenses").json()["data"][0]["license_key"] == masked
    found = reader.get(f"licenses?license_key={license_.license_key}").json()["data"]
    assert [row["id"] for row in found] == [str(license_.pk)]


MOVES = ("suspend", "reinstate", "renew", "revoke")
TABLE = {
    ("active", "suspend"): "suspended",
    ("active", "renew"): "active",
    ("active", "revoke"): "revoked",
    ("suspended", "reinstate"): "active",
    ("suspended", "renew"): "suspended",
    ("suspended", "revoke"): "revoked",
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("status", ["active", "suspended", "revoked"])
def test_every_move_from_every_status(manager: Caller, status: str, move: str) -> None:
    license_ = make_license(status=status, expires_at=timezone.now() + timedelta(days=1))
    body = {"expires_at": "2999-01-01T00:00:00Z"} if move == "renew" else None

    response = manager.post(f"licenses/{license_.pk}/{move}", body)

    target = TABLE.get((status, move))
    shown = manager.get(f"licenses/{license_.pk}").json()
    if target is None:
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
        assert shown["status"] == status
        assert not Event.objects.about(license_).exists()
    else:
        assert response.status_code == 200
        assert shown["status"] == target
        assert Event.objects.about(license_).count() == 1


def test_an_expired_license_is_good_again_once_it_is_renewed(manager: Caller) -> None:
    license_ = make_license(expires_at=timezone.now() - timedelta(days=1))
    path = f"licenses/{license_.pk}"

    assert manager.get(path).json()["status"] == "expired"
    assert manager.post(f"{path}/renew", {"expires_at": "2020-01-01T00:00:00Z"}).status_code == 409
    assert manager.post(f"{path}/renew", {"expires_at": None}).json()["status"] == "active"


def judge(caller: Caller, license_key: str, **more: str) -> tuple[bool, str]:
    body = caller.post("licenses/validate", {"license_key": license_key, **more}).json()
    return body["valid"], body["code"]


def test_every_code_of_a_validation() -> None:
    reader = Caller(issue(permissions=[P.LICENSES_READ]))
    suspended_customer = make_customer(status="suspended")
    full = make_activation(seats=1).license
    taken = full.activations.get().fingerprint
    cases: list[tuple[str, str, dict[str, str]]] = [
        ("VALID", make_license().license_key, {}),
        ("VALID", full.license_key, {"fingerprint": taken}),
        ("NOT_FOUND", license_keys.new(), {}),
        ("NOT_FOUND", "not a key", {}),
        ("EXPIRED", make_license(expires_at=timezone.now()).license_key, {}),
        ("SUSPENDED", make_license(status="suspended").license_key, {}),
        ("REVOKED", make_license(status="revoked").license_key, {}),
        ("CUSTOMER_SUSPENDED", make_license(suspended_customer).license_key, {}),
        ("TOO_MANY_MACHINES", full.license_key, {"fingerprint": "another"}),
        ("FINGERPRINT_NOT_ACTIVATED", make_license().license_key, {"fingerprint": "another"}),
    ]

    for code, license_key, more in cases:
        assert judge(reader, license_key, **more) == (code == "VALID", code)
    assert judge(reader, cases[0][1].lower().replace("-", "")) == (True, "VALID")


def test_a_suspended_customer_is_out_of_its_scoped_keys_reach_until_reinstated() -> None:
    customer = make_customer()
    license_ = make_license(customer)
    scoped = Caller(issue(permissions=[*MANAGE, P.CUSTOMERS_READ], customers=[customer.pk]))
    customer.status = "suspended"
    customer.save()

    assert scoped.get(f"customers/{customer.pk}").status_code == 404
    assert scoped.get(f"licenses/{license_.pk}").status_code == 404
    assert judge(scoped, license_.license_key) == (False, "CUSTOMER_SUSPENDED")

    customer.status = "active"
    customer.save()
    assert scoped.get(f"licenses/{license_.pk}").status_code == 200
    assert judge(scoped, license_.license_key) == (True, "VALID")


def test_a_scoped_key_issues_for_its_customers_only() -> None:
    mine, other = make_customer(), make_customer()
    scoped = Caller(issue(permissions=MANAGE, customers=[mine.pk]))

    statuses = [
        scoped.post("licenses", {"customer": str(customer.pk), "product": "Pro"}).status_code
        for customer in (mine, other)
    ]

    assert statuses == [201, 400]


def test_a_machine_takes_one_seat_and_gives_it_back(manager: Caller) -> None:
    license_ = make_license(seats=1)
    path = f"licenses/{license_.pk}/activations"

    first = manager.post(path, {"fingerprint": "one"})
    again = manager.post(path, {"fingerprint": "one"})
    second = manager.post(path, {"fingerprint": "two"})
    gone = manager.delete(f"{path}/{first.json()['id']}")
    third = manager.post(path, {"fingerprint": "two"})

    statuses = [response.status_code for response in (first, again, second, gone, third)]
    assert statuses == [201, 200, 409, 204, 201]
    assert [row["fingerprint"] for row in manager.get(path).json()["data"]] == ["two"]


def test_seats_are_not_lowered_below_what_is_taken(manager: Caller) -> None:
    license_ = make_activation(seats=3).license
    Activation.objects.create(
        license=license_, environment=license_.environment, fingerprint="second"
    )
    path = f"licenses/{license_.pk}"

    assert manager.patch(path, {"seats": 1}).json()["code"] == "conflict"
    assert manager.patch(path, {"seats": 2}).json()["seats"] == 2


def test_a_change_names_what_it_changes_or_is_refused(manager: Caller) -> None:
    path = f"licenses/{make_license().pk}"
    tag = manager.get(path)["ETag"]

    first = manager.patch(path, {"product": "A"}, HTTP_IF_MATCH=tag)
    stale = manager.patch(path, {"product": "B"}, HTTP_IF_MATCH=tag)
    moved = manager.post(f"{path}/suspend", HTTP_IF_MATCH=tag)
    forced = manager.patch(path, {"product": "C"}, HTTP_IF_MATCH="*")

    assert [r.status_code for r in (first, stale, moved, forced)] == [200, 412, 412, 200]
    assert stale.json()["code"] == "precondition_failed"
    assert manager.get(path).json()["product"] == "C"


def at_once(count: int, work: Any) -> list[Any]:
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_seats_are_never_exceeded_by_machines_at_once() -> None:
    manager = Caller(issue(permissions=MANAGE))
    license_ = make_license(seats=3)
    path = f"licenses/{license_.pk}/activations"

    answers = at_once(8, lambda n: manager.post(path, {"fingerprint": f"machine {n}"}))

    assert license_.activations.count() == 3
    assert sum(answer.status_code == 201 for answer in answers) == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_moves_at_once_one_wins() -> None:
    manager = Caller(issue(permissions=MANAGE))
    license_ = make_license()

    answers = at_once(6, lambda n: manager.post(f"licenses/{license_.pk}/suspend"))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert Event.objects.about(license_).count() == 1


@pytest.mark.parametrize("after", [True, 1.0, "1"])
def test_a_change_of_metadata_is_one_by_json_and_not_by_python(
    manager: Caller, after: object
) -> None:
    license_ = make_license(metadata={"a": 1})

    changed = manager.patch(f"licenses/{license_.pk}", {"metadata": {"a": after}}).json()

    assert repr(changed["metadata"]["a"]) == repr(after)
    assert Event.objects.about(license_).filter(action="updated").count() == 1


def test_renewing_for_ever_what_never_expires_does_nothing(manager: Caller) -> None:
    license_ = make_license()

    renewed = manager.post(f"licenses/{license_.pk}/renew", {"expires_at": None})

    assert (renewed.status_code, renewed.json()["expires_at"]) == (200, None)
    assert not Event.objects.about(license_).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["licenses", "telemetry", "jobs"])
def test_a_customer_that_is_deleted_meanwhile_is_a_refusal_and_no_crash(path: str) -> None:
    caller = Caller(issue(permissions=list(Permission), limit_minute=10_000, limit_hour=10_000))
    start = threading.Barrier(2)

    def body(customer: str) -> dict[str, Any]:
        bodies: dict[str, dict[str, Any]] = {
            "licenses": {"customer": customer, "product": "P"},
            "telemetry": {"customer": customer, "type": "t"},
            "jobs": {"type": "telemetry.export", "params": {"customer": customer}},
        }
        return bodies[path]

    def run(act: Any) -> int:
        start.wait()
        try:
            return int(act().status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(25):
            customer = str(make_customer().pk)
            acts = (
                lambda c=customer: caller.post(path, body(c)),
                lambda c=customer: caller.delete(f"customers/{c}"),
            )
            made, deleted = pool.map(run, acts)

            assert made in {201, 202, 400, 409}
            assert deleted in {204, 409}
