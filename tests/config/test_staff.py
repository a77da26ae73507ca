"""Staff accounts: who manages them is not thereby an administrator of all."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from audit.models import Event
from config.admin_site.roles import DESCRIPTIONS, ROLES
from tests.support.factories import PASSWORD, client_of, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> User:
    """Somebody who may manage accounts, and nothing else."""
    user = make_staff()
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="auth"))
    return user


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


NONE_LEFT = "No active superuser would be left. Make another member of staff a superuser first."


@pytest.mark.parametrize("lost", ["is_superuser", "is_active", "is_staff"])
def test_the_last_active_superuser_stays_one(lost: str) -> None:
    boss, retired, outsider = (make_staff(is_superuser=True) for _ in range(3))
    User.objects.filter(pk=retired.pk).update(is_active=False)
    User.objects.filter(pk=outsider.pk).update(is_staff=False)

    refused = change(client_of(boss), boss, **{"is_superuser": "on", lost: ""})
    kept = User.objects.get(pk=boss.pk)
    make_staff(is_superuser=True)
    done = change(client_of(boss), boss, **{"is_superuser": "on", lost: ""})

    assert NONE_LEFT in refused.text
    assert (kept.is_superuser, kept.is_active, kept.is_staff) == (True, True, True)
    assert done.status_code == 302
    assert not getattr(User.objects.get(pk=boss.pk), lost)


@pytest.mark.parametrize("how", ["delete", "delete_selected"])
def test_the_last_active_superusers_are_not_deleted(how: str) -> None:
    boss, other = make_staff(is_superuser=True), make_staff(is_superuser=True)
    client, both = client_of(boss), [boss.pk, other.pk]
    if how == "delete":
        User.objects.filter(pk=other.pk).update(is_superuser=False)
        address = reverse("admin:auth_user_delete", args=(boss.pk,))
        answer = client.post(address, {"post": "yes"}, follow=True)
    else:
        form = {"action": how, "_selected_action": both, "post": "yes"}
        answer = client.post(reverse("admin:auth_user_changelist"), form, follow=True)

    assert NONE_LEFT in answer.text
    assert "Successfully deleted" not in answer.text
    assert User.objects.filter(pk__in=both).count() == 2
    assert not Event.objects.filter(action="deleted").exists()


@pytest.mark.django_db(transaction=True)
def test_two_superusers_do_not_demote_each_other_at_once() -> None:
    first, second = make_staff(is_superuser=True), make_staff(is_superuser=True)
    pairs = [(client_of(first), second), (client_of(second), first)]

    def demote(client: Client, user: User) -> int:
        try:
            return int(change(client, user).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            list(User.objects.select_for_update())
            answers = [pool.submit(demote, *pair) for pair in pairs]
            # Long enough for both to be signed in, and to wait.
            wait(answers, timeout=1)
        statuses = {answer.result() for answer in answers}

    assert User.objects.filter(is_superuser=True).count() == 1
    assert 500 not in statuses


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


def test_a_new_account_can_sign_in_and_has_the_roles_that_were_ticked() -> None:
    page, client = reverse("admin:auth_user_add"), client_of(make_staff(is_superuser=True))
    role = Group.objects.get(name="Auditor")
    names = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}

    form = client.get(page).context["adminform"].form
    client.post(page, names | {"is_staff": "on", "groups": [role.pk]})

    assert form.initial["is_staff"] is True
    ada = User.objects.get(username="ada")
    assert (ada.is_staff, ada.is_superuser, ada.check_password(PASSWORD)) == (True, False, True)
    assert list(ada.groups.all()) == [role]


def test_a_manager_of_accounts_creates_none_that_has_rights(manager: User) -> None:
    role = Group.objects.get(name="Key administrator")
    names = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}

    client_of(manager).post(
        reverse("admin:auth_user_add"),
        names | {"is_staff": "on", "is_superuser": "on", "groups": [role.pk]},
    )

    ada = User.objects.get(username="ada")
    assert (ada.is_superuser, ada.groups.exists()) == (False, False)


def test_each_role_that_comes_with_the_product_is_described() -> None:
    page = client_of(make_staff(is_superuser=True)).get(reverse("admin:auth_user_add")).text

    assert DESCRIPTIONS.keys() == ROLES.keys()
    assert all(text in page for text in DESCRIPTIONS.values())
