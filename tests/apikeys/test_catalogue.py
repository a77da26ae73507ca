"""The catalogue of permissions: what is built in, what is added, and what keeps one in place."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from apikeys import catalogue, lifecycle
from apikeys.models import ApiKey, CustomPermission
from apikeys.permissions import CODE, MAX_CODE_LENGTH, Permission
from audit.models import Event
from database.refusals import Conflict, Refused
from gateway import lifecycle as services
from gateway.rules import parse_rules
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue

pytestmark = pytest.mark.django_db

READ = "orders:read"
PART = st.from_regex(r"[a-z][a-z0-9._-]{0,39}", fullmatch=True)


def add(code: str = READ, label: str = "Order Read", **fields: str) -> CustomPermission:
    return catalogue.create(code, actor=ACTOR, label=label, **fields)


def history() -> list[tuple[str, str, dict[str, Any]]]:
    events = Event.objects.filter(object_type="apikeys.custompermission").order_by("id")
    return list(events.values_list("object_id", "action", "changes"))


def test_the_built_in_permissions_are_the_published_ones() -> None:
    assert dict(Permission.choices) == {
        "customers:read": "Customer Read",
        "customers:write": "Customer Write",
        "licenses:read": "License Read",
        "licenses:manage": "License Management",
        "telemetry:read": "Telemetry Read",
        "telemetry:write": "Telemetry Write",
        "jobs:read": "Job Read",
        "jobs:run": "Job Run",
        "logs:read": "Log Read",
        "keys:verify": "Key Verification",
        "keys:read": "Key Read",
        "keys:manage": "Key Management",
    }
    assert all(map(CODE.fullmatch, Permission.values))


@given(PART, PART)
def test_a_code_is_two_parts_and_fits_its_column(resource: str, action: str) -> None:
    code = f"{resource}:{action}"

    assert CODE.fullmatch(code)
    assert len(code) <= MAX_CODE_LENGTH


def test_custom_permissions_follow_the_built_in_ones_by_code() -> None:
    add("z:a", "Last")
    add("a:z", "First")
    add("customers:export", "Customer Export")

    assert catalogue.choices() == [
        *Permission.choices, ("a:z", "First"), ("customers:export", "Customer Export"),
        ("z:a", "Last"),
    ]  # fmt: skip
    groups = catalogue.by_resource()
    assert list(groups)[-2:] == ["A", "Z"]
    assert [code for code, _ in groups["Customers"]] == [
        "customers:read", "customers:write", "customers:export",
    ]  # fmt: skip
    assert catalogue.labels(["z:a", "jobs:run", "no:such"]) == ["Last", "Job Run", "no:such"]


def test_codes_are_put_in_order_and_once() -> None:
    for code in ("b:a", "a:b", "a:bc"):
        add(code)

    given = ["b:a", "jobs:run", "a:bc", "customers:read", "jobs:run", "a:b"]

    assert catalogue.ordered(given) == ("customers:read", "jobs:run", "a:b", "a:bc", "b:a")
    assert catalogue.ordered(reversed(given)) == catalogue.ordered(given)


@pytest.mark.parametrize("code", ["customers:delete", "customers:rea", "b", "", "a:b c:d"])
def test_an_unknown_code_is_refused_by_name(code: str) -> None:
    add("a:b")
    add("c:d")

    with pytest.raises(Refused, match=f"^'{code}' is not a permission") as refused:
        catalogue.ordered(["customers:read", "a:b", code])

    assert refused.value.field == "permissions"


def test_a_key_holds_whole_codes_and_is_found_by_them() -> None:
    codes = ["a:b", "a:bc", "x.a:b", "xa:b", "a_:b", "ab:b", "customers:readers"]
    for code in codes:
        add(code)
    by_code = {code: issue(permissions=[code]).key for code in [*codes, "customers:read"]}
    everything = issue(permissions=by_code).key

    for code, key in by_code.items():
        assert set(ApiKey.objects.granted(code)) == {key, everything}, code
    assert catalogue.uses([*by_code, "a:z"]) == {**dict.fromkeys(by_code, (2, [])), "a:z": (0, [])}


@pytest.mark.parametrize("code", ["a", "a:", ":", "b a", "a:b x", " ", "%", "a_b"])
def test_a_part_of_a_code_finds_no_key(code: str) -> None:
    add("a:b")
    issue(permissions=["a:b", "jobs:run"])

    assert not ApiKey.objects.granted(code).exists()


def test_a_permission_is_created_changed_and_deleted_on_record() -> None:
    permission = add(description="See orders")
    catalogue.update(permission, actor=ACTOR, fields={"label": "Orders", "description": ""})
    catalogue.update(permission, actor=ACTOR, fields={"label": "Orders"})

    assert catalogue.find(READ).label == "Orders"
    assert catalogue.delete(permission, actor=ACTOR)
    assert not catalogue.delete(permission, actor=ACTOR)
    assert not CustomPermission.objects.exists()
    assert [(action, changes) for _, action, changes in history()] == [
        ("created", {"label": [None, "Order Read"], "description": [None, "See orders"]}),
        ("updated", {"label": ["Order Read", "Orders"], "description": ["See orders", ""]}),
        ("deleted", {"label": ["Order Read", None], "description": ["See orders", None]}),
    ]
    with pytest.raises(Conflict, match="deleted"):
        catalogue.update(permission, actor=ACTOR, fields={"label": "Back"})


@pytest.mark.parametrize(
    "code",
    ["", "orders", "orders:", ":read", "Orders:read", "orders:read:all", "1a:b", "a b:c",
     "orders:read\n", "é:a", f"{'a' * 41}:b", f"a:{'b' * 41}", "any-key", "public"],
)  # fmt: skip
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(Refused, match=r"is not a code\. Write it") as refused:
        add(code)

    assert refused.value.field == "code"
    assert not CustomPermission.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"label": " "}, "label"),
        ({"label": "a" * 101}, "label"),
        ({"label": "a\u202eb"}, "label"),
        ({"label": "Read", "description": "a" * 501}, "description"),
        ({"label": "Read", "description": "two\nlines"}, "description"),
    ],
)
def test_a_label_is_a_line_that_people_can_read(fields: dict[str, str], field: str) -> None:
    permission = add("a:b")

    with pytest.raises(Refused) as created:
        add(**fields)
    with pytest.raises(Refused) as updated:
        catalogue.update(permission, actor=ACTOR, fields=fields)

    assert created.value.field == updated.value.field == field
    assert len(history()) == 1


def test_a_code_is_taken_once_and_a_built_in_one_stays() -> None:
    add()

    with pytest.raises(Conflict, match="already"):
        add()
    with pytest.raises(Conflict, match="built in"):
        add("customers:read")
    with pytest.raises(Refused, match="built in"):
        catalogue.find("customers:read")
    with pytest.raises(Refused, match="no permission 'a:b'"):
        catalogue.find("a:b")

    assert len(history()) == 1


def test_a_row_of_a_code_that_is_built_in_now_counts_for_nothing() -> None:
    CustomPermission.objects.create(code="jobs:run", label="Mine")

    assert catalogue.choices() == Permission.choices
    assert catalogue.labels(["jobs:run"]) == ["Job Run"]
    assert not catalogue.custom().exists()


@pytest.mark.parametrize("code", ["", "orders", "a:b c:d"])
def test_the_database_refuses_a_code_that_keys_could_not_hold(code: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CustomPermission.objects.create(code=code, label="x")


def test_a_permission_in_use_stays_and_the_refusal_says_where() -> None:
    permission = add()
    add("orders:reader")
    for name in ("Eve", "Dan", "Cem", "Bob", "Ann"):
        issue(name=name, permissions=[READ])
    revoked = issue(name="Aaa", permissions=[READ]).key
    lifecycle.revoke(revoked, actor=ACTOR)
    issue(name="Other", permissions=["orders:reader"])
    services.create("shop", actor=ACTOR, rules=parse_rules([f"GET /a {READ}", f"GET /b {READ}"]))

    with pytest.raises(Conflict) as refused:
        catalogue.delete(permission, actor=ACTOR)

    text = str(refused.value)
    assert text.startswith(f"orders:read is held by Aaa ({revoked.pk}), Ann (")
    assert text.endswith(" and 3 more, and named by the rules of shop. Take it away there first.")
    assert catalogue.uses([READ, "a:b"]) == {READ: (6, ["shop"]), "a:b": (0, [])}
    assert catalogue.find(READ)


def test_a_permission_is_free_once_nothing_uses_it() -> None:
    permission = add()
    key = issue(permissions=[READ]).key
    service = services.create("orders", actor=ACTOR)
    lifecycle.update(key, actor=ACTOR, permissions=[])
    with pytest.raises(Conflict, match=r"^orders:read is named by the rules of orders\. "):
        catalogue.delete(permission, actor=ACTOR)

    services.delete(service, actor=ACTOR)

    assert catalogue.delete(permission, actor=ACTOR)


def test_missing_permissions_are_created_with_a_label_from_the_code() -> None:
    add()

    with transaction.atomic():
        catalogue.ensure([READ, "jobs:run", "orders.v2:read_all", "a-b:c"], actor=ACTOR)

    assert dict(CustomPermission.objects.values_list("code", "label")) == {
        READ: "Order Read", "orders.v2:read_all": "Orders V2 Read All", "a-b:c": "A B C",
    }  # fmt: skip
    assert [(code, action) for code, action, _ in history()] == [
        (READ, "created"), ("a-b:c", "created"), ("orders.v2:read_all", "created"),
    ]  # fmt: skip


def test_the_guard_never_reads_the_catalogue() -> None:
    add()
    caller = Caller(issue(permissions=[READ]))

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {CustomPermission._meta.db_table} RENAME TO away")
    shown, refused = caller.get("key"), caller.get("customers")

    assert shown.json()["permissions"] == [READ]
    assert refused.status_code == 403


def beside(
    act: Callable[[], Any], other: Callable[[], Any], last: Callable[[], Any] = lambda: None
) -> Any:
    """Return what ``other`` gives, begun while the transaction of ``act`` is still open.

    ``last`` ends that transaction.
    """
    acted = threading.Event()

    def run() -> Any:
        acted.wait()
        try:
            return other()
        except Refused as refused:
            return refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        with transaction.atomic():
            act()
            acted.set()
            # Time for the other to finish if nothing holds it up.
            threading.Event().wait(0.3)
            last()
        return future.result()


STORED: dict[str, Callable[[], Any]] = {
    "key": lambda: issue(permissions=[READ]),
    "changed key": lambda: lifecycle.update(
        ApiKey.objects.get(name="There"), actor=ACTOR, permissions=[READ]
    ),
    "rule": lambda: services.create("orders", actor=ACTOR),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", STORED)
def test_a_permission_is_not_deleted_while_something_begins_to_use_it(what: str) -> None:
    permission = add()
    issue(name="There")

    result = beside(STORED[what], lambda: catalogue.delete(permission, actor=ACTOR))

    assert isinstance(result, Conflict)
    assert catalogue.find(READ)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", STORED)
def test_nothing_begins_to_use_a_permission_that_is_being_deleted(what: str) -> None:
    permission = add()
    issue(name="There")

    result = beside(lambda: catalogue.delete(permission, actor=ACTOR), STORED[what])

    if what == "rule":
        assert result.rule_lines[0].needs == catalogue.find(READ).code
        assert [action for _, action, _ in history()] == ["created", "deleted", *["created"] * 2]
    else:
        assert isinstance(result, Refused)
        assert not ApiKey.objects.granted(READ).exists()


@pytest.mark.django_db(transaction=True)
def test_two_services_at_once_create_a_permission_once() -> None:
    rules = parse_rules(["GET /a a:b", "POST /a a:c"])

    beside(
        lambda: services.create("one", actor=ACTOR, rules=rules),
        lambda: services.create("two", actor=ACTOR, rules=rules),
    )

    assert catalogue.uses(["a:b"])["a:b"].services == ["one", "two"]
    assert [(code, action) for code, action, _ in history()] == [
        ("a:b", "created"), ("a:c", "created"),
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_a_permission_holds_up_nobody() -> None:
    add("a:c")

    @transaction.atomic
    def ensure() -> None:
        catalogue.ensure(["a:b", "a:c"], actor=ACTOR)

    beside(lambda: add("a:b"), ensure, last=lambda: catalogue.ordered(["a:c"]))

    assert [code for code, _, _ in history()] == ["a:c", "a:b"]
