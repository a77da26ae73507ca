"""The catalogue of permissions in the admin, and what keys show of custom permissions there."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from apikeys import catalogue
from apikeys.models import ApiKey, CustomPermission
from audit.models import Event
from gateway import lifecycle as services
from tests.apikeys.test_admin import LIST as KEYS
from tests.apikeys.test_admin import change as change_key
from tests.apikeys.test_admin import create as create_key
from tests.support.factories import ACTOR, client_of, issue

pytestmark = pytest.mark.django_db

LIST = "admin:apikeys_custompermission_changelist"
ADD = "admin:apikeys_custompermission_add"


def add(code: str = "orders:read", label: str = "Order Read") -> CustomPermission:
    return catalogue.create(code, actor=ACTOR, label=label)


def page_of(permission: CustomPermission, action: str = "change") -> str:
    return reverse(f"admin:apikeys_custompermission_{action}", args=(permission.pk,))


def errors_of(page: Any) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = page.context["adminform"].form.errors
    return errors


def test_a_permission_is_added_changed_and_deleted(staff: Client) -> None:
    fields = {"code": "orders:read", "label": "Order Read", "description": "See orders"}

    added = staff.post(reverse(ADD), fields)
    permission = CustomPermission.objects.get()
    changed = staff.post(page_of(permission), fields | {"code": "x:y", "label": "Orders"})
    shown = catalogue.find("orders:read")
    history = staff.get(page_of(permission)).text
    deleted = staff.post(page_of(permission, "delete"), {"post": "yes"})

    assert (added.status_code, changed.status_code, deleted.status_code) == (302, 302, 302)
    assert (shown.label, shown.description) == ("Orders", "See orders")
    assert "<del>Order Read</del>" in history
    assert not CustomPermission.objects.exists()
    events = Event.objects.filter(object_type="apikeys.custompermission").order_by("id")
    assert [(event.action, event.source) for event in events] == [
        ("created", "admin"), ("updated", "admin"), ("deleted", "admin"),
    ]  # fmt: skip
    assert events[1].changes == {"label": ["Order Read", "Orders"]}


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"code": "orders"}, "code", "Write it as orders:read"),
        ({"code": "a:b c:d"}, "code", "Write it as orders:read"),
        ({"code": "jobs:run"}, "code", "built in"),
        ({"code": "there:already"}, "code", "Use another code"),
        ({"label": "\u200b"}, "label", "label"),
    ],
)
def test_what_the_catalogue_refuses_is_an_error_of_the_form(
    staff: Client, fields: dict[str, str], field: str, text: str
) -> None:
    add("there:already")

    page = staff.post(reverse(ADD), {"code": "a:b", "label": "A", **fields})

    assert page.status_code == 200
    assert text in errors_of(page)[field][0]
    assert CustomPermission.objects.count() == 1


def test_the_list_shows_who_uses_a_permission_and_those_built_in(staff: Client) -> None:
    services.create("orders", actor=ACTOR)
    issue(permissions=["orders:write", "jobs:run"])

    text = staff.get(reverse(LIST)).text
    found = staff.get(f"{reverse(LIST)}?q=write")

    assert "Orders Read" in text
    assert f'href="{reverse(KEYS)}?permission=orders:write">1</a>' in text
    assert "<code>keys:verify</code>" in text
    assert f'href="{reverse(KEYS)}?permission=jobs:run">1</a>' in text
    (permission,) = found.context["cl"].result_list
    assert permission.use == (1, ["orders"])


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        add(f"a:b{number}")
    staff.get(reverse(LIST))

    with django_assert_max_num_queries(9):
        assert len(staff.get(reverse(LIST)).context["cl"].result_list) == 20


def test_a_permission_in_use_is_not_deleted_and_the_page_says_why(staff: Client) -> None:
    permission = add()
    key = issue(name="Shop", permissions=["orders:read"]).key

    answer = staff.post(page_of(permission, "delete"), {"post": "yes"})

    assert answer.url == page_of(permission)
    (message,) = get_messages(answer.wsgi_request)
    assert str(message) == (f"orders:read is held by Shop ({key.pk}). Take it away there first.")
    assert catalogue.find("orders:read")


def test_many_are_not_deleted_at_once_unchecked(staff: Client) -> None:
    permission = add()
    action = {"action": "delete_selected", "_selected_action": str(permission.pk), "post": "yes"}

    staff.post(reverse(LIST), action)

    assert catalogue.find("orders:read")


@pytest.mark.parametrize("role", ["Key operator", "Auditor"])
def test_others_only_look(role: str) -> None:
    permission, client = add(), client_of(role)

    answers = [
        client.post(reverse(ADD), {"code": "a:b", "label": "A"}),
        client.post(page_of(permission), {"label": "B"}),
        client.post(page_of(permission, "delete"), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert list(CustomPermission.objects.values_list("code", "label")) == [
        ("orders:read", "Order Read")
    ]
    assert client.get(reverse(LIST)).status_code == 200
    assert "orders:read" in client.get(page_of(permission)).text


def test_a_key_is_given_custom_permissions_and_found_by_them(staff: Client) -> None:
    add()
    add("orders:reader", "Order Reader")
    other = issue(permissions=["orders:reader"]).key

    page = create_key(staff, permissions=["orders:read", "jobs:run"])
    key = ApiKey.objects.exclude(pk=other.pk).get()
    listed = staff.get(f"{reverse(KEYS)}?permission=orders:read")
    form = staff.get(reverse("admin:apikeys_apikey_change", args=(key.pk,)) + "?tab=settings").text

    assert key.permissions == ("jobs:run", "orders:read")
    assert "Job Run, Order Read" in page.text
    assert list(listed.context["cl"].result_list) == [key]
    assert "Job Run, Order Read" in listed.text
    assert "<legend>Orders</legend>" in form


def test_an_operator_takes_custom_permissions_away_and_gives_none() -> None:
    add()
    add("orders:write")
    key = issue(permissions=["orders:read"]).key
    client = client_of("Key operator")

    widened = change_key(client, key, permissions=["orders:read", "orders:write"])
    change_key(client, key, permissions=[])

    assert "not one of the available choices" in errors_of(widened)["permissions"][0]
    assert ApiKey.objects.get().permissions == ()
