"""The endpoints of keys: what they take, answer, and record."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.models import ApiKey, IdempotentRequest
from apikeys.permissions import Permission
from apikeys.serializers import administered
from audit.actors import Source
from audit.models import Event
from tests.support.api_client import Caller, record_of
from tests.support.factories import ACTOR, expire, issue, make_customer

pytestmark = pytest.mark.django_db

EVERYTHING = tuple(Permission)


def manager(**settings: Any) -> Caller:
    return Caller(issue(permissions=EVERYTHING, **settings))


def test_a_key_is_created_with_what_the_body_chooses() -> None:
    customer = make_customer()
    body = {
        "name": "  Build ",
        "permissions": ["logs:read", "customers:read"],
        "customers": [str(customer.pk)],
        "limits": {"minute": 60, "hour": None},
        "networks": ["203.0.113.0/24", "::ffff:198.51.100.7"],
        "expires_at": "2999-01-31T01:00:00+01:00",
        "tags": ["web", "team:a", "web"],
        "owner": " web@example.com ",
        "note": "Asked for by Ada",
    }

    answer = manager().post("keys", body)

    shown = answer.json()
    key = ApiKey.objects.get(pk=shown["id"])
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/production/v1/keys/{key.pk}"
    assert shown == administered(key) | {"key": shown["key"]}
    assert shown | {"id": "", "created_at": "", "key": ""} == {
        "id": "",
        "name": "Build",
        "environment": "production",
        "status": "active",
        "permissions": ["customers:read", "logs:read"],
        "customer_scope": "selected",
        "customers": [str(customer.pk)],
        "limits": {"minute": 60, "hour": 20_000, "day": 200_000},
        "networks": ["203.0.113.0/24", "198.51.100.7/32"],
        "expires_at": "2999-01-31T00:00:00Z",
        "last_used_at": None,
        "created_at": "",
        "tags": ["team:a", "web"],
        "owner": "web@example.com",
        "note": "Asked for by Ada",
        "key": "",
    }


def test_the_credential_that_is_answered_works() -> None:
    shown = manager().post("keys", {"name": "New"}).json()

    assert Caller(shown["key"]).get("key").json()["id"] == shown["id"]


def test_a_new_key_has_no_permission_and_reaches_every_customer() -> None:
    shown = manager().post("keys", {"name": "New"}).json()

    assert (shown["permissions"], shown["customer_scope"], shown["networks"]) == ([], "all", [])


def test_the_fields_are_those_of_the_calling_key_in_their_order_then_the_notes() -> None:
    caller = manager()
    own = caller.get("key").json()

    one = caller.get(f"keys/{own['id']}").json()

    assert list(one) == [*(name for name in own if name != "remaining"), "tags", "owner", "note"]
    assert one == administered(ApiKey.objects.get(pk=own["id"]))
    assert caller.get("keys").json()["data"] == [one]


def test_what_is_noted_of_a_key_is_not_told_to_its_holder() -> None:
    noted = issue(tags=["late-payer"], owner="Zoe", note="Watch this customer")
    asking = Caller(issue(permissions=["keys:verify"]))

    answers = [
        Caller(noted).get("key").json(),
        asking.post("keys/verify", {"key": noted.credential}).json()["key"],
    ]

    assert not any({"tags", "owner", "note"} & set(answer) for answer in answers)


def test_keys_are_found_by_tag_and_owner() -> None:
    caller = manager()
    web = issue(tags=["web", "team:a"], owner="Zoe").key.pk
    issue(tags=["website"], owner="Zoe Two", environment=Environment.PRODUCTION)
    caller.patch(f"keys/{web}", {"note": "Changed"})

    def found(query: str) -> list[str]:
        return [row["id"] for row in caller.get(f"keys?{query}").json()["data"]]

    assert found("tag=web") == [web]
    assert found("tag=team:a&owner=Zoe") == [web]
    assert found("tag=web&owner=zoe") == []
    assert caller.get("keys?tag=a%20b").status_code == 400
    assert ApiKey.objects.get(pk=web).tags == ("team:a", "web")


def test_a_key_id_is_taken_as_a_credential_begins() -> None:
    key = issue().key

    answers = [manager().get(f"keys/{form}{key.pk}") for form in ("", "lk_prod_", "lk_dev_")]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["id"] for answer in answers} == {key.pk}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "lk_prod_4kQ9zTfB2mXe_abc"}, "name"),
        ({"name": "x", "environment": "production"}, "environment"),
        ({"name": "x", "status": "active"}, "status"),
        ({"name": "x", "permissions": "customers:read"}, "permissions"),
        ({"name": "x", "permissions": ["customers:read\nx"]}, "permissions[0]"),
        ({"name": "x", "customers": ["nobody"]}, "customers[0]"),
        ({"name": "x", "customer_scope": "selected"}, "customers"),
        (
            {
                "name": "x",
                "customer_scope": "all",
                "customers": ["01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41"],
            },
            "customers",
        ),
        ({"name": "x", "customers": ["01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41"]}, "customers"),
        ({"name": "x", "limits": {"week": 1}}, "limits.week"),
        ({"name": "x", "limits": {"minute": "60"}}, "limits.minute"),
        ({"name": "x", "limits": {"minute": -1}}, "limits.minute"),
        ({"name": "x", "networks": ["10.0.0.1/8"]}, "networks"),
        ({"name": "x", "networks": ["nowhere"]}, "networks"),
        ({"name": "x", "expires_at": "2999-01-31"}, "expires_at"),
        ({"name": "x", "expires_at": "2020-01-31T00:00:00Z"}, "expires_at"),
        ({"name": "x", "tags": ["Team A"]}, "tags"),
        ({"name": "x", "tags": [""]}, "tags[0]"),
        ({"name": "x", "tags": [f"t{number}" for number in range(21)]}, "tags"),
        ({"name": "x", "owner": "x" * 101}, "owner"),
        ({"name": "x", "note": "two\nlines"}, "note"),
        ({"name": "x", "note": "lk_prod_4kQ9zTfB2mXe_abc"}, "note"),
    ],
)
def test_what_does_not_fit_is_400_and_makes_no_key(body: Any, field: str) -> None:
    caller = manager()

    answer = caller.post("keys", body)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert ApiKey.objects.count() == 1


def test_the_texts_are_those_of_the_forms() -> None:
    answer = manager().post("keys", {"name": " "})

    (error,) = answer.json()["errors"]
    assert error["message"] == "The name is blank. Say what the key is for."


def test_a_change_names_what_changes_and_keeps_the_rest() -> None:
    customer = make_customer()
    key = issue(permissions=["logs:read"], customers=[customer.pk], limit_minute=5).key

    answer = manager().patch(f"keys/{key.pk}", {"limits": {"hour": 50}, "customer_scope": "all"})

    shown = answer.json()
    assert answer.status_code == 200
    assert (shown["name"], shown["permissions"]) == (key.name, ["logs:read"])
    assert shown["limits"] == {"minute": 5, "hour": 50, "day": 200_000}
    assert (shown["customer_scope"], shown["customers"]) == ("all", [])


def test_what_was_read_can_be_sent_back() -> None:
    key, caller = issue(permissions=["logs:read"], limit_minute=5).key, manager()
    read_only = {"id", "environment", "status", "last_used_at", "created_at"}
    shown = caller.get(f"keys/{key.pk}").json()

    again = caller.patch(
        f"keys/{key.pk}", {name: value for name, value in shown.items() if name not in read_only}
    )

    assert again.json() == shown


def test_a_change_of_another_version_is_412() -> None:
    key, caller = issue().key, manager()
    tag = caller.get(f"keys/{key.pk}")["ETag"]
    changed = caller.patch(f"keys/{key.pk}", {"name": "Changed"}, HTTP_IF_MATCH=tag)

    answers = [
        caller.patch(f"keys/{key.pk}", {"name": "Again"}, HTTP_IF_MATCH=tag),
        *(
            caller.post(f"keys/{key.pk}/{move}", HTTP_IF_MATCH=tag)
            for move in ("regenerate", "revoke", "activate")
        ),
    ]

    assert changed.status_code == 200
    assert changed["ETag"] != tag
    assert {answer.json()["code"] for answer in answers} == {"precondition_failed"}
    assert caller.get(f"keys/{key.pk}")["ETag"] == changed["ETag"]


def test_regenerate_answers_a_new_credential_and_the_old_one_stops() -> None:
    issued = issue()

    answer = manager().post(f"keys/{issued.key.pk}/regenerate")

    assert answer.status_code == 200
    assert answer.json()["id"] == issued.key.pk
    assert Caller(answer.json()["key"]).get("key").status_code == 200
    assert Caller(issued).get("key").json()["code"] == "key_invalid"


def test_regenerate_lets_the_old_secret_go_on_for_the_overlap() -> None:
    issued = issue()

    manager().post(f"keys/{issued.key.pk}/regenerate", {"overlap": 3600})

    assert Caller(issued).get("key").status_code == 200
    old = issued.key.secrets.get(number=1)
    left = old.retires_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


@pytest.mark.parametrize("overlap", [-1, 7 * 86_400 + 1, 1.5, "60", None])
def test_an_overlap_out_of_range_is_400(overlap: Any) -> None:
    answer = manager().post(f"keys/{issue().key.pk}/regenerate", {"overlap": overlap})

    assert answer.json()["errors"][0]["field"] == "overlap"


def test_revoke_and_activate_bind_on_the_next_request_and_are_audited() -> None:
    issued, caller = issue(), manager()

    revoked = caller.post(f"keys/{issued.key.pk}/revoke", {"reason": "Lost"})
    refused = Caller(issued).get("key")
    activated = caller.post(f"keys/{issued.key.pk}/activate")

    assert (revoked.json()["status"], activated.json()["status"]) == ("inactive", "active")
    assert refused.json()["code"] == "key_revoked"
    assert Caller(issued).get("key").status_code == 200
    assert [(e.action, e.reason, e.source) for e in Event.objects.about(issued.key)[:2]] == [
        ("activated", "", Source.API),
        ("revoked", "Lost", Source.API),
    ]


def test_an_event_says_which_key_did_it_and_from_where() -> None:
    caller = manager(networks=["10.0.0.0/8"])
    managing = caller.get("key").json()["id"]

    made = caller.post("keys", {"name": "Made", "networks": ["10.1.0.0/16"]}).json()

    event = Event.objects.get(object_id=made["id"])
    (shown,) = caller.get(f"keys/{made['id']}/events").json()["data"]
    assert (event.actor_name, event.source) == (f"key {managing}", Source.API)
    assert event.address.startswith("10.")
    assert shown["by"] == f"key {managing}"
    assert shown["changes"]["networks"] == [None, "10.1.0.0/16"]


def test_events_do_not_name_customers_to_a_key_for_others() -> None:
    ours, theirs = make_customer(), make_customer()
    key = issue(customers=[theirs.pk]).key
    lifecycle.update(key, actor=ACTOR, customers=[ours.pk])
    scoped = manager(customers=[ours.pk])

    answer = scoped.get(f"keys/{key.pk}/events")

    assert [event["action"] for event in answer.json()["data"]] == ["updated", "created"]
    assert str(theirs.pk) not in answer.text
    assert str(theirs.pk) in manager().get(f"keys/{key.pk}/events").text


def test_a_list_is_newest_first_and_goes_on_by_its_cursor() -> None:
    caller = manager()
    ids = [issue().key.pk for _ in range(4)]
    same = timezone.now()
    ApiKey.objects.filter(pk__in=ids[:2]).update(created_at=same)
    order = list(ApiKey.objects.values_list("pk", flat=True))

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = caller.get(f"keys?limit=2{cursor and f'&cursor={cursor}'}").json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]

    assert seen == order
    assert len(seen) == 5


@pytest.mark.parametrize("cursor", ["x", "MTIz", "OTk5OTk5OTk5OTk5OTk5OTk5OTkgNGtROXpUZkIybVhl"])
def test_what_is_no_cursor_is_400(cursor: str) -> None:
    answer = manager().get(f"keys?cursor={cursor}")

    assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_list_is_narrowed_by_each_filter() -> None:
    customer, caller = make_customer(), manager(name="Manager")
    narrow = issue(name="Narrow", customers=[customer.pk]).key
    reader = issue(name="Reader", permissions=["logs:read"], customers=[]).key
    old = issue(name="Old", customers=[]).key
    ApiKey.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=100))
    lifecycle.revoke(reader, actor=ACTOR)
    over = issue(name="Over", customers=[], expires_at=timezone.now() + timedelta(days=1)).key
    expire(over)

    def names(query: str) -> set[str]:
        return {row["name"] for row in caller.get(f"keys?{query}").json()["data"]}

    assert names("status=inactive") == {"Reader"}
    assert names("status=expired") == {"Over"}
    assert names("permission=logs:read") == {"Manager", "Reader"}
    assert names(f"customer={customer.pk}") == {"Manager", "Narrow"}
    assert names("idle=90d") == {"Old"}
    assert names("name=Narrow") == {"Narrow"}
    assert names(f"name=Narrow&customer={make_customer().pk}") == set()
    assert narrow.pk


@pytest.mark.parametrize(
    "query", ["status=new", "permission=x", "customer=x", "idle=long", "idle=999999d", "sort=name"]
)
def test_a_filter_that_means_nothing_is_400(query: str) -> None:
    answer = manager().get(f"keys?{query}")

    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_a_replay_gives_the_same_answer_without_the_credential() -> None:
    caller = manager()
    key = issue().key

    for path, body in (("keys", {"name": "Once"}), (f"keys/{key.pk}/regenerate", {})):
        first, again = (caller.post(path, body, HTTP_IDEMPOTENCY_KEY=path) for _ in range(2))

        assert again["Idempotent-Replayed"] == "true"
        assert first.json()["key"].startswith("lk_prod_")
        assert again.json() == first.json() | {"key": None}
        assert (again.status_code, again["ETag"]) == (first.status_code, first["ETag"])
    assert ApiKey.objects.filter(name="Once").count() == 1
    assert key.secrets.count() == 2


def test_the_record_of_a_replay_never_holds_the_secret() -> None:
    caller = manager()

    secret = caller.post("keys", {"name": "Once"}, HTTP_IDEMPOTENCY_KEY="a").json()["key"]

    (stored,) = IdempotentRequest.objects.values_list("body", flat=True)
    assert secret.rpartition("_")[2] not in stored
    assert json.loads(stored)["key"] is None


def test_the_request_log_never_holds_the_secret(settings: LazySettings) -> None:
    settings.LOG_BODIES = "all"
    caller = manager()

    answers = [
        caller.post("keys", {"name": "Logged"}),
        caller.post(f"keys/{issue().key.pk}/regenerate", {"overlap": 60}),
    ]

    for answer in answers:
        record = record_of(answer)
        assert answer.json()["id"] in record.response_body
        assert answer.json()["key"].rpartition("_")[2] not in json.dumps(record)


def test_a_credential_in_the_path_is_404_and_masked() -> None:
    issued = issue()

    answer = manager().get(f"keys/{issued.credential}")

    assert answer.status_code == 404
    assert issued.credential.rpartition("_")[2] not in json.dumps(record_of(answer))


def test_another_environment_is_404_for_every_method() -> None:
    key, caller = issue(environment=Environment.STAGING).key, manager()

    answers = [
        caller.get(f"keys/{key.pk}"),
        caller.get(f"keys/{key.pk}/events"),
        caller.patch(f"keys/{key.pk}", {"name": "x"}),
        *(caller.post(f"keys/{key.pk}/{move}") for move in ("regenerate", "revoke", "activate")),
    ]

    unknown = caller.get("keys/000000000000").json()
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json() | {"request_id": ""} == unknown | {"request_id": ""}


def test_a_list_asks_as_many_queries_however_long_it_is(
    django_assert_max_num_queries: Any,
) -> None:
    customer, caller = make_customer(), manager()
    for _ in range(20):
        issue(customers=[customer.pk])

    with django_assert_max_num_queries(3):
        assert len(caller.get("keys").json()["data"]) == 21
