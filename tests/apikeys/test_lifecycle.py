"""The life of a key: a table over every (status, act), and what two people do at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.utils import timezone

from apikeys import lifecycle
from apikeys.audited import Action
from apikeys.environments import Environment
from apikeys.models import ApiKey, SecretVersion, Status
from audit.models import Event
from database.refusals import Conflict, Refused
from tests.support.factories import ACTOR, expire, issue, make_customer

pytestmark = pytest.mark.django_db

PRODUCTION = Environment.PRODUCTION
ACTIONS: dict[Action, Callable[[ApiKey], Any]] = {
    Action.UPDATED: lambda key: lifecycle.update(key, actor=ACTOR, name="Renamed"),
    Action.REGENERATED: lambda key: lifecycle.regenerate(key, actor=ACTOR),
    Action.REVOKED: lambda key: lifecycle.revoke(key, actor=ACTOR, reason="Lost"),
    Action.ACTIVATED: lambda key: lifecycle.activate(key, actor=ACTOR),
}
# Status before and act: the status after, and whether anything was done.
TABLE = {
    (Status.ACTIVE, Action.UPDATED): (Status.ACTIVE, True),
    (Status.ACTIVE, Action.REGENERATED): (Status.ACTIVE, True),
    (Status.ACTIVE, Action.REVOKED): (Status.INACTIVE, True),
    (Status.ACTIVE, Action.ACTIVATED): (Status.ACTIVE, False),
    (Status.AWAITING, Action.UPDATED): (Status.AWAITING, True),
    (Status.AWAITING, Action.REGENERATED): (Status.ACTIVE, True),
    (Status.AWAITING, Action.REVOKED): (Status.INACTIVE, True),
    (Status.AWAITING, Action.ACTIVATED): (Status.AWAITING, False),
    (Status.INACTIVE, Action.UPDATED): (Status.INACTIVE, True),
    (Status.INACTIVE, Action.REGENERATED): (Status.INACTIVE, True),
    (Status.INACTIVE, Action.REVOKED): (Status.INACTIVE, False),
    (Status.INACTIVE, Action.ACTIVATED): (Status.ACTIVE, True),
    (Status.EXPIRED, Action.UPDATED): (Status.EXPIRED, True),
    (Status.EXPIRED, Action.REGENERATED): (Status.EXPIRED, True),
    (Status.EXPIRED, Action.REVOKED): (Status.INACTIVE, True),
    (Status.EXPIRED, Action.ACTIVATED): (Status.EXPIRED, False),
}


def key_with(status: Status) -> ApiKey:
    if status is Status.AWAITING:
        key = lifecycle.create_awaiting(environment=PRODUCTION, actor=ACTOR, name="Awaited")
    else:
        key = issue().key
    if status is Status.INACTIVE:
        lifecycle.revoke(key, actor=ACTOR)
    elif status is Status.EXPIRED:
        expire(key)
    key.refresh_from_db()
    assert key.status is status
    return key


def test_the_table_covers_every_status_and_act() -> None:
    assert set(TABLE) == {(status, action) for status in Status for action in ACTIONS}


@pytest.mark.parametrize(("status", "action"), TABLE)
def test_an_act_leads_where_the_table_says_and_leaves_one_event(
    status: Status, action: Action
) -> None:
    after, is_done = TABLE[status, action]
    key = key_with(status)
    events = Event.objects.about(key).count()

    ACTIONS[action](key)

    key.refresh_from_db()
    assert key.status is after
    assert Event.objects.about(key).count() == events + is_done
    if is_done:
        event = Event.objects.about(key).latest("id")
        assert (event.action, event.source, event.actor_name) == (action, ACTOR.source, ACTOR.name)


def test_a_new_key_has_no_permissions_and_the_limits_of_its_environment() -> None:
    key = issue(environment=Environment.STAGING).key

    assert key.permissions == ()
    assert key.limits == Environment.STAGING.default_limits
    assert key.limits[:3] == (60, 2_000, 20_000)


def test_creating_stores_a_digest_and_no_secret() -> None:
    issued = issue()

    secret = issued.key.secrets.get()
    assert len(secret.digest) == 64
    assert secret.digest not in issued.credential
    assert issued.credential not in repr(issued)


def test_an_event_says_what_changed_in_words() -> None:
    key = issue(permissions=["customers:read"], limit_minute=5).key

    lifecycle.update(key, actor=ACTOR, permissions=[], limit_minute=None, networks=["10.0.0.0/8"])

    assert Event.objects.about(key).first().changes == {
        "permissions": ["customers:read", "none"],
        "limit per minute": [5, "default"],
        "networks": ["any", "10.0.0.0/8"],
    }


def test_no_event_holds_a_secret_or_a_digest() -> None:
    issued = issue()
    again = lifecycle.regenerate(issued.key, actor=ACTOR, overlap=timedelta(hours=1))

    written = str(list(Event.objects.about(issued.key).values()))

    for hidden in (issued.credential, again.credential):
        assert hidden[21:53] not in written
    for digest in SecretVersion.objects.values_list("digest", flat=True):
        assert digest not in written


def test_an_update_that_changes_nothing_is_no_act() -> None:
    key = issue(name="Same").key

    assert lifecycle.update(key, actor=ACTOR, name="Same") is None
    assert Event.objects.about(key).count() == 1


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"permissions": ["customers:delete"]}, "permissions"),
        ({"limit_minute": -1}, "limit_minute"),
        ({"limit_day": 10**10}, "limit_day"),
        ({"networks": ["10.0.0.1/8"]}, "networks"),
        ({"networks": ["everywhere"]}, "networks"),
        ({"networks": [f"10.0.{i}.0/24" for i in range(101)]}, "networks"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"expires_at": datetime(2099, 1, 1)}, "expires_at"),  # noqa: DTZ001
        ({"customers": [uuid4()]}, "customers"),
    ],
)
def test_a_setting_that_may_not_be_is_refused_by_name(settings: dict[str, Any], field: str) -> None:
    key = issue().key

    with pytest.raises(Refused) as created:
        issue(**settings)
    with pytest.raises(Refused) as updated:
        lifecycle.update(key, actor=ACTOR, **settings)

    assert created.value.field == updated.value.field == field
    assert Event.objects.about(key).count() == 1


def test_an_expiry_that_has_passed_may_stay_when_something_else_changes() -> None:
    key = key_with(Status.EXPIRED)

    event = lifecycle.update(key, actor=ACTOR, name="Other", expires_at=key.expires_at)

    assert event is not None
    assert set(event.changes) == {"name"}


def test_customers_of_another_environment_are_refused() -> None:
    stranger = make_customer(environment=Environment.STAGING)

    with pytest.raises(Refused, match="production customer"):
        issue(customers=[stranger.pk])


def test_a_scope_stays_when_its_last_customer_is_deleted() -> None:
    customer = make_customer()
    key = issue(customers=[customer.pk]).key

    customer.delete()

    key.refresh_from_db()
    assert key.is_scoped
    assert not key.scope.exists()


def test_regenerating_keeps_the_key_and_stops_the_old_secret_at_once() -> None:
    first = issue(name="Kept", permissions=["jobs:run"], limit_minute=7)

    second = lifecycle.regenerate(first.key, actor=ACTOR)

    assert second.credential[:21] == first.credential[:21]
    assert second.credential != first.credential
    assert (second.key.name, second.key.permissions, second.key.limit_minute) == (
        "Kept", ("jobs:run",), 7,
    )  # fmt: skip
    old = second.key.secrets.get(number=1)
    assert old.digest == ""
    assert old.retires_at <= timezone.now()


def test_an_overlap_keeps_the_old_secret_until_its_end() -> None:
    key = issue().key

    lifecycle.regenerate(key, actor=ACTOR, overlap=timedelta(hours=1))

    old = key.secrets.get(number=1)
    assert old.digest
    assert timedelta(minutes=59) < old.retires_at - timezone.now() <= timedelta(hours=1)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=7, seconds=1)])
def test_an_overlap_is_at_most_a_week(overlap: timedelta) -> None:
    with pytest.raises(Refused, match="overlap"):
        lifecycle.regenerate(issue().key, actor=ACTOR, overlap=overlap)


def test_a_revoked_keys_old_secret_never_lives_on() -> None:
    with pytest.raises(Refused, match="revoked"):
        lifecycle.regenerate(key_with(Status.INACTIVE), actor=ACTOR, overlap=timedelta(hours=1))


def test_only_so_many_secrets_are_accepted_at_once() -> None:
    key = issue().key
    for _ in range(lifecycle.MAX_ACCEPTED_SECRETS - 1):
        lifecycle.regenerate(key, actor=ACTOR, overlap=timedelta(days=1))

    with pytest.raises(Refused, match="still accepted"):
        lifecycle.regenerate(key, actor=ACTOR, overlap=timedelta(days=1))

    lifecycle.regenerate(key, actor=ACTOR)
    assert key.secrets.exclude(digest="").count() == 1


def test_a_form_sent_twice_creates_one_key() -> None:
    issued = issue(key_id="A1b2C3d4E5f6")

    with pytest.raises(Conflict, match="created already"):
        issue(key_id="A1b2C3d4E5f6")

    assert issued.key.secrets.count() == 1
    assert Event.objects.about(issued.key).count() == 1


def test_a_regenerate_asked_for_on_an_older_secret_is_refused() -> None:
    key = issue().key
    lifecycle.regenerate(key, actor=ACTOR, version=1)

    with pytest.raises(Conflict, match="regenerated a moment ago"):
        lifecycle.regenerate(key, actor=ACTOR, version=1)


def test_a_stale_form_changes_nothing() -> None:
    key = issue(permissions=["customers:read", "customers:write"]).key
    opened = key.revision
    lifecycle.update(key, actor=ACTOR, permissions=[])

    with pytest.raises(Conflict, match="a test"):
        lifecycle.update(
            key, actor=ACTOR, revision=opened, name="New", permissions=["customers:read"]
        )

    key.refresh_from_db()
    assert key.permissions == ()


def test_a_page_opened_before_a_second_revoke_does_not_undo_it() -> None:
    key = key_with(Status.INACTIVE)
    opened = key.revision
    lifecycle.activate(key, actor=ACTOR)
    lifecycle.revoke(key, actor=ACTOR, reason="Leaked")

    with pytest.raises(Conflict):
        lifecycle.activate(key, actor=ACTOR, revision=opened)

    key.refresh_from_db()
    assert key.is_revoked


@pytest.mark.parametrize(
    ("settings", "is_allowed"),
    [
        ({"permissions": ["customers:read"]}, True),
        ({"permissions": []}, True),
        ({"permissions": ["customers:read", "jobs:run"]}, False),
        ({"limit_minute": 99}, True),
        ({"limit_minute": 0}, True),
        ({"limit_minute": 101}, False),
        ({"limit_minute": None}, False),
        ({"limit_hour": None}, True),
        ({"limit_hour": 20_000}, True),
        ({"limit_hour": 20_001}, False),
        ({"name": "Other"}, False),
        ({"networks": ["10.0.0.0/8"]}, False),
        ({"customers": []}, False),
        ({"expires_at": datetime(2099, 1, 1, tzinfo=UTC)}, False),
    ],
)
def test_narrowing_never_widens(settings: dict[str, Any], is_allowed: bool) -> None:
    key = issue(permissions=["customers:read", "customers:write"], limit_minute=100).key

    if is_allowed:
        lifecycle.narrow(key, actor=ACTOR, **settings)
    else:
        with pytest.raises(Refused, match="not add or raise"):
            lifecycle.narrow(key, actor=ACTOR, **settings)


def at_once(number: int, act: Callable[[], Any]) -> list[Any]:
    """Run ``act`` in threads that start together; return results and refusals."""
    start = threading.Barrier(number)

    def run(_: int) -> Any:
        start.wait()
        try:
            return act()
        except Refused as refused:
            return refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.django_db(transaction=True)
def test_of_people_regenerating_at_once_one_gets_the_key() -> None:
    key = issue().key

    results = at_once(6, lambda: lifecycle.regenerate(key, actor=ACTOR, version=1))

    assert sum(not isinstance(result, Conflict) for result in results) == 1
    assert key.secrets.filter(retires_at=None).count() == 1
    assert key.secrets.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_forms_sent_at_once_one_creates_the_key() -> None:
    results = at_once(6, lambda: issue(key_id="A1b2C3d4E5f6"))

    assert sum(not isinstance(result, Conflict) for result in results) == 1
    assert SecretVersion.objects.filter(key_id="A1b2C3d4E5f6").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_revokes_at_once_one_is_recorded() -> None:
    key = issue().key

    at_once(6, lambda: lifecycle.revoke(key, actor=ACTOR))

    assert Event.objects.about(key).filter(action=Action.REVOKED).count() == 1
