"""Staff accounts: who manages them is not thereby an administrator of all."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from tests.support.factories import PASSWORD, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> User:
    """Somebody who may manage accounts, and nothing else."""
    user = make_staff()
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="auth"))
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def change(client: Client, user: User, **fields: Any) -> Any:
    stands = {"username": user.username, "is_active": "on", "is_staff": "on",
              "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # fmt: skip
    return client.post(reverse("admin:auth_user_change", args=(user.pk,)), stands | fields)


def test_a_manager_of_accounts_gives_no_rights_not_even_to_himself(manager: User) -> None:
    role = Group.objects.get(name="Key administrator")
    other = make_staff()

    for user in (manager, other):
        change(client_of(manager), user, is_superuser="on", groups=[role.pk], email="a@b.example")

    for user in (manager, other):
        user.refresh_from_db()
        assert (user.email, user.is_superuser) == ("a@b.example", False)
        assert not user.groups.exists()


@pytest.mark.parametrize("role", ["superuser", "Key administrator"])
def test_an_account_that_may_do_more_is_out_of_a_managers_reach(manager: User, role: str) -> None:
    is_superuser = role == "superuser"
    higher = make_staff(None if is_superuser else role, is_superuser=is_superuser)
    client, new = client_of(manager), "long enough 7"
    password = reverse("admin:auth_user_password_change", args=(higher.pk,))

    delete = reverse("admin:auth_user_delete", args=(higher.pk,))

    statuses = [
        change(client, higher, email="a@b.example").status_code,
        client.post(password, {"password1": new, "password2": new}).status_code,
        client.post(delete, {"post": "yes"}).status_code,
    ]

    assert statuses == [403, 403, 403]
    assert User.objects.get(pk=higher.pk).check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["change", "password", "delete", "delete_selected"])
def test_an_account_that_is_promoted_meanwhile_is_out_of_reach_too(what: str) -> None:
    manager, person = make_staff(), make_staff()
    manager.user_permissions.add(*Permission.objects.filter(content_type__app_label="auth"))
    client, new = client_of(manager), "long enough 7"

    def post() -> int:
        try:
            match what:
                case "change":
                    response = change(client, person, email="a@b.example")
                case "password":
                    address = reverse("admin:auth_user_password_change", args=(person.pk,))
                    response = client.post(address, {"password1": new, "password2": new})
                case "delete":
                    address = reverse("admin:auth_user_delete", args=(person.pk,))
                    response = client.post(address, {"post": "yes"})
                case _:
                    form = {"action": what, "_selected_action": [person.pk], "post": "yes"}
                    response = client.post(reverse("admin:auth_user_changelist"), form)
            return int(response.status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            User.objects.filter(pk=person.pk).update(is_superuser=True)
            answer = pool.submit(post)
            # Long enough for the request to compare rights as they were, if it does.
            wait([answer], timeout=1)
        status = answer.result()

    stored = User.objects.get(pk=person.pk)
    assert status in {403, 302}
    assert (stored.is_superuser, stored.email) == (True, "")
    assert stored.check_password(PASSWORD)


def test_roles_are_made_by_superusers(manager: User) -> None:
    role = Group.objects.get(name="Auditor")

    changed = client_of(manager).post(
        reverse("admin:auth_group_change", args=(role.pk,)), {"name": "Mine"}
    )

    assert changed.status_code == 403


def test_a_superuser_gives_rights() -> None:
    person = make_staff()

    change(
        client_of(make_staff(is_superuser=True)),
        person,
        groups=[Group.objects.get(name="Auditor").pk],
    )

    assert person.groups.filter(name="Auditor").exists()
