"""A managing key never widens anything beyond itself."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.guard import authentication
from apikeys.guard.context import RequestContext
from apikeys.guard.problems import Problem
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey
from apikeys.models.rights import Rights, excess, excess_to_touch
from apikeys.permissions import Permission
from audit.actors import Source
from audit.models import Event
from provisioning import changes
from provisioning.changes import Caller as Calling
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, expire, issue, make_customer

MANAGE = ["keys:read", "keys:manage"]
ONE, TWO = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 27, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
DEFAULTS = (600, 20_000, 200_000)


def rights(**chosen: Any) -> Rights:
    return Rights(DEFAULTS, **chosen)


@pytest.mark.parametrize(
    ("manager", "target", "first"),
    [
        ({}, {}, None),
        ({"permissions": ("a:a", "b:b")}, {"permissions": ("b:b",)}, None),
        ({"permissions": ("a:a",)}, {"permissions": ("a:a", "b:b", "c:c")}, "permissions b:b"),
        ({}, {"customers": frozenset({ONE})}, None),
        ({"customers": frozenset({ONE, TWO})}, {"customers": frozenset({ONE})}, None),
        ({"customers": frozenset({ONE})}, {"customers": frozenset()}, None),
        ({"customers": frozenset({ONE})}, {}, "customers all"),
        ({"customers": frozenset()}, {"customers": frozenset({TWO, ONE})}, f"customers {ONE}"),
        ({}, {"limits": (600, None, 1)}, None),
        ({}, {"limits": (601, None, None)}, "limits.minute 601"),
        ({"limits": (1000, None, None)}, {"limits": (1000, None, None)}, None),
        ({"limits": (1000, None, None)}, {}, "limits.minute default"),
        ({"limits": (None, None, 5)}, {"limits": (5, 5, 6)}, "limits.day 6"),
        ({"limits": (None, None, 5)}, {"limits": (0, 0, 0)}, None),
        ({"networks": ("10.0.0.0/8",)}, {"networks": ("10.0.0.0/8", "10.1.2.3/32")}, None),
        ({"networks": ("10.0.0.0/8",)}, {}, "networks any"),
        ({"networks": ("10.0.0.0/8",)}, {"networks": ("0.0.0.0/0",)}, "networks 0.0.0.0/0"),
        ({"networks": ("0.0.0.0/0",)}, {"networks": ("2001:db8::/32",)}, "networks 2001:db8::/32"),
        ({"networks": ("10.0.0.0/25", "10.0.0.128/25")}, {"networks": ("10.0.0.0/24",)}, None),
        ({"networks": ("0.0.0.0/0", "::/0")}, {"networks": ("::1/128", "10.0.0.0/8")}, None),
        ({"networks": ("0.0.0.0/0", "::/0")}, {}, "networks any"),
        ({"expires_at": LATER}, {"expires_at": LATER}, None),
        ({"expires_at": LATER}, {"expires_at": NOW}, None),
        ({"expires_at": NOW}, {"expires_at": LATER}, f"expires_at {LATER.isoformat()}"),
        ({"expires_at": NOW}, {}, "expires_at never"),
    ],
)
def test_the_first_right_beyond_the_managers_is_named(
    manager: Any, target: Any, first: str | None
) -> None:
    found = excess(rights(**manager), rights(**target))

    assert (None if found is None else " ".join(found)) == first


def test_a_key_is_touched_by_its_permissions_and_customers_alone() -> None:
    manager = rights(
        permissions=("a:a",), limits=(1, 1, 1), networks=("10.0.0.0/8",), expires_at=NOW
    )

    assert excess_to_touch(manager, rights(permissions=("a:a",))) is None
    assert excess_to_touch(manager, rights(permissions=("b:b",))) == ("permissions", "b:b")


NARROW: dict[str, Any] = {
    "permissions": [*MANAGE, "logs:read"],
    "limit_minute": 100,
    "networks": ["10.0.0.0/8"],
}
WITHIN = {"limits": {"minute": 100}, "networks": ["10.1.0.0/16"]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "members"),
    [
        ({"permissions": ["logs:read", "jobs:run"]}, {"required_permission": "jobs:run"}),
        ({"permissions": ["orders:read"]}, {"required_permission": "orders:read"}),
        ({"limits": {"minute": 101}}, {"exceeded": "limits.minute"}),
        ({"limits": {"minute": None}}, {"exceeded": "limits.minute"}),
        ({"networks": []}, {"exceeded": "networks"}),
        ({"networks": ["11.0.0.0/8"]}, {"exceeded": "networks"}),
        ({"expires_at": None}, {"exceeded": "expires_at"}),
        ({"expires_at": "2999-01-01T00:00:00Z"}, {"exceeded": "expires_at"}),
        ({"customer_scope": "all"}, {"required_customer_scope": "all"}),
        ({"customers": [str(ONE)]}, {"required_customer": str(ONE)}),
    ],
)
def test_neither_a_new_key_nor_a_change_may_be_more(body: Any, members: Any) -> None:
    customer = make_customer()
    expires_at = datetime(2998, 1, 1, tzinfo=UTC)
    caller = Caller(issue(**NARROW, customers=[customer.pk], expires_at=expires_at))
    within = {**WITHIN, "customers": [str(customer.pk)], "expires_at": "2998-01-01T00:00:00Z"}
    made = caller.post("keys", {"name": "Within", **within})
    # What a PATCH leaves out stays, so a new scope is all that is said of it.
    other = {name: value for name, value in within.items() if name != "customers"}

    created = caller.post(
        "keys", {"name": "More", **(other if "scope" in str(body) else within)} | body
    )
    changed = caller.patch(f"keys/{made.json()['id']}", body)

    assert made.status_code == 201, made.content
    for answer in (created, changed):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (403, "permission_denied")
        assert members.items() <= problem.items()
        assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]
    assert ApiKey.objects.count() == 2


@pytest.mark.django_db
def test_what_is_not_named_of_a_new_key_is_judged_too() -> None:
    caller = Caller(issue(permissions=MANAGE, limit_day=10))

    answer = caller.post("keys", {"name": "As by default"})

    assert answer.json()["exceeded"] == "limits.day"


def moves(caller: Caller, key: ApiKey) -> dict[str, Any]:
    return {
        "patch": caller.patch(f"keys/{key.pk}", {"name": "Changed"}),
        **{
            move: caller.post(f"keys/{key.pk}/{move}")
            for move in ("regenerate", "revoke", "activate")
        },
    }


@pytest.mark.django_db
def test_a_key_with_a_permission_that_the_manager_lacks_is_seen_and_not_touched() -> None:
    caller = Caller(issue(permissions=[*MANAGE, "logs:read"]))
    other = issue(permissions=["customers:read", "logs:read", "jobs:run"]).key

    answers = moves(caller, other)

    assert caller.get(f"keys/{other.pk}").status_code == 200
    for answer in answers.values():
        assert answer.status_code == 403
        assert answer.json()["required_permission"] == "customers:read"


@pytest.mark.django_db
@pytest.mark.parametrize("is_for_all", [False, True])
def test_a_key_for_customers_that_the_manager_lacks_is_not_seen_and_not_touched(
    is_for_all: bool,
) -> None:
    ours, theirs = make_customer(), make_customer()
    caller = Caller(issue(permissions=MANAGE, customers=[ours.pk]))
    other = issue(customers=None if is_for_all else [ours.pk, theirs.pk]).key

    answers = moves(caller, other)

    assert caller.get(f"keys/{other.pk}").status_code == 404
    assert other.pk not in caller.get("keys").text
    for answer in answers.values():
        assert (answer.status_code, answer.json()["exceeded"]) == (403, "customers")
        assert str(theirs.pk) not in answer.text


@pytest.mark.django_db
def test_a_key_cannot_change_itself() -> None:
    issued = issue(permissions=list(Permission))
    before: dict[str, Any] = dict(ApiKey.objects.values().get(pk=issued.key.pk))

    answers = moves(Caller(issued), issued.key)

    after: dict[str, Any] = dict(ApiKey.objects.values().get(pk=issued.key.pk))
    unchanged = {name for name, value in before.items() if after[name] == value}
    assert {answer.status_code for answer in answers.values()} == {403}
    assert "itself" in answers["revoke"].json()["detail"]
    assert unchanged >= before.keys() - {"last_used_at", "last_used_address", "last_used_agent"}


@pytest.mark.django_db
def test_a_key_that_may_do_more_is_revoked_and_narrowed_but_not_handed_out() -> None:
    caller = Caller(issue(permissions=MANAGE, limit_minute=10))
    other = issue(permissions=["keys:read"], limit_minute=100).key
    path = f"keys/{other.pk}"

    refused = [
        caller.post(f"{path}/regenerate"),
        caller.post(f"{path}/activate"),
        caller.patch(path, {"name": "As it is"}),
    ]
    revoked = caller.post(f"{path}/revoke")
    narrowed = caller.patch(path, {"limits": {"minute": 10}})
    activated = caller.post(f"{path}/activate")

    assert [answer.json()["exceeded"] for answer in refused] == ["limits.minute"] * 3
    assert [answer.status_code for answer in (revoked, narrowed, activated)] == [200] * 3


@pytest.mark.django_db
def test_customers_that_do_not_exist_and_those_of_others_are_refused_alike() -> None:
    ours, theirs = make_customer(), make_customer()
    caller = Caller(issue(permissions=MANAGE, customers=[ours.pk]))

    details = []
    for customer in (theirs.pk, ONE):
        answer = caller.post("keys", {"name": "x", "customers": [str(customer)]})
        details.append((answer.status_code, answer.json()["detail"].replace(str(customer), "")))

    assert details[0] == details[1]


def narrowed(issued: IssuedKey, **settings: Any) -> None:
    lifecycle.update(issued.key, actor=ACTOR, **settings)


MEANWHILE: dict[str, tuple[Callable[[IssuedKey], Any], str]] = {
    "revoked": (lambda issued: lifecycle.revoke(issued.key, actor=ACTOR), "key_revoked"),
    "expired": (lambda issued: expire(issued.key), "key_expired"),
    "given another secret": (
        lambda issued: lifecycle.regenerate(issued.key, actor=ACTOR),
        "key_invalid",
    ),
    "kept to other networks": (
        lambda issued: narrowed(issued, networks=["192.0.2.0/24"]),
        "address_not_allowed",
    ),
    "without the permission": (
        lambda issued: narrowed(issued, permissions=["keys:read"]),
        "permission_denied",
    ),
    "held to a lower limit": (
        lambda issued: narrowed(issued, limit_minute=1),
        "permission_denied",
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_managing_key_that_changes_after_the_guard_admitted_it_is_judged_anew(
    meanwhile: str,
) -> None:
    change, code = MEANWHILE[meanwhile]
    issued, context = issue(permissions=MANAGE), RequestContext("a request")
    claim = authentication.parse_claim(issued.credential, "production")
    authentication.authenticate(claim, "production", "10.0.0.1", context)
    calling = Calling(issued.key.pk, "production", "10.0.0.1", context, ACTOR)

    change(issued)
    with pytest.raises(Problem) as refused:
        changes.create(calling, {"name": "Too late"})

    assert refused.value.code == code
    assert not ApiKey.objects.filter(name="Too late").exists()


@pytest.mark.django_db
def test_an_environment_has_its_own_keys() -> None:
    caller = Caller(
        issue(permissions=MANAGE, environment=Environment.STAGING), environment="staging"
    )

    made = caller.post("keys", {"name": "Made"}).json()

    assert made["environment"] == "staging"
    assert made["key"].startswith("lk_stag_")
    assert Event.objects.get(object_id=made["id"]).source == Source.API
