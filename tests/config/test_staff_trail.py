"""Staff accounts, roles and sign-ins are in the audit trail, and a stranger cannot flood it."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from audit.models import Event
from tests.support.command_line import Run
from tests.support.factories import PASSWORD, client_of, make_staff

pytestmark = pytest.mark.django_db

LOGIN = reverse("admin:login")


@pytest.fixture(autouse=True)
def fresh_budgets() -> None:
    """Forget the failures of other tests."""
    cache.clear()


@pytest.fixture
def boss() -> User:
    """A superuser."""
    return make_staff(is_superuser=True)


def log_in(name: str, password: str, network: str = "198.51.100.1") -> int:
    fields = {"username": name, "password": password}
    return Client(REMOTE_ADDR=network).post(LOGIN, fields).status_code


def acts() -> list[tuple[str, str, str]]:
    """Return each event's object, action and actor, oldest first."""
    events = Event.objects.order_by("id")
    return [(event.object_label, event.action, event.actor_name) for event in events]


def test_a_sign_in_and_a_sign_out_are_recorded_with_their_address() -> None:
    user = make_staff()
    client = Client(REMOTE_ADDR="198.51.100.9")

    client.post(LOGIN, {"username": user.username, "password": PASSWORD})
    client.post(reverse("admin:logout"))

    name = user.username
    assert acts() == [(name, "signed_in", name), (name, "signed_out", name)]
    assert set(Event.objects.values_list("address", "actor_id")) == {("198.51.100.9", user.pk)}


def test_a_failure_names_the_account_and_never_what_was_typed() -> None:
    user = make_staff()

    assert log_in(user.username, "wrong password") == 200
    assert log_in("my secret password", "typed into the wrong field") == 200

    assert acts() == [
        (user.username, "password_refused", "not signed in"),
        ("unknown name", "password_refused", "not signed in"),
    ]
    kept = str(list(Event.objects.values()))
    assert "secret" not in kept
    assert "wrong" not in kept


def test_a_lock_out_is_recorded_once() -> None:
    user = make_staff()

    codes = [log_in(user.username, "wrong") for _ in range(13)]

    assert codes[-1] == 429
    assert [action for _, action, _ in acts()].count("locked_out") == 1


def test_a_stranger_with_many_networks_writes_a_bounded_number_of_events() -> None:
    user = make_staff()

    for number in range(30):
        log_in(user.username, "wrong", network=f"198.51.100.{number}")
        log_in(f"nobody{number}", "wrong", network=f"203.0.113.{number}")

    actions = [(label, action) for label, action, _ in acts()]
    for label in (user.username, "unknown name"):
        assert actions.count((label, "password_refused")) == 20
        assert actions.count((label, "failures_not_recorded")) == 1
    assert len(actions) == 42


def test_an_account_is_recorded_from_its_creation_to_its_deletion(boss: User) -> None:
    client, role = client_of(boss), Group.objects.get(name="Auditor")
    client.post(
        reverse("admin:auth_user_add"),
        {
            "username": "ada",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    ada = User.objects.get(username="ada")
    page = reverse("admin:auth_user_change", args=(ada.pk,))
    fields = {
        "username": "ada", "email": "ada@example.com", "is_staff": "on", "is_active": "on",
        "groups": [role.pk], "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
    }  # fmt: skip
    assert client.post(page, fields).status_code == 302
    client.post(page, fields)
    passwords = reverse("admin:auth_user_password_change", args=(ada.pk,))
    client.post(passwords, {"usable_password": "true", "password1": "x", "password2": "y"})
    new = "another horse battery staple"
    client.post(passwords, {"usable_password": "true", "password1": new, "password2": new})
    client.post(reverse("admin:auth_user_delete", args=(ada.pk,)), {"post": "yes"})

    events = Event.objects.filter(object_type="auth.user").order_by("id")
    assert [event.action for event in events] == [
        "created", "updated", "password_changed", "deleted",
    ]  # fmt: skip
    assert {event.object_label for event in events} == {"ada"}
    assert events[1].changes == {
        "email": ["", "ada@example.com"], "is_staff": [False, True], "roles": [[], ["Auditor"]],
    }  # fmt: skip
    assert events[2].changes == {}
    assert "argon2" not in str(list(events.values()))


def test_a_bulk_deletion_of_accounts_is_recorded_one_by_one(boss: User) -> None:
    accounts = [make_staff(), make_staff()]

    client_of(boss).post(
        reverse("admin:auth_user_changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [account.pk for account in accounts],
            "post": "yes",
        },
    )

    assert not User.objects.filter(pk__in=[account.pk for account in accounts]).exists()
    assert sorted(acts()) == sorted((a.username, "deleted", boss.username) for a in accounts)


def test_a_role_is_recorded_with_the_permissions_it_gives(boss: User) -> None:
    client = client_of(boss)
    codes = Group.objects.get(name="Auditor").permissions.order_by("pk")
    first, second = codes[0], codes[1]

    client.post(reverse("admin:auth_group_add"), {"name": "Ops", "permissions": [first.pk]})
    role = Group.objects.get(name="Ops")
    page = reverse("admin:auth_group_change", args=(role.pk,))
    client.post(page, {"name": "Ops", "permissions": [second.pk]})
    client.post(reverse("admin:auth_group_delete", args=(role.pk,)), {"post": "yes"})

    def code(permission: Permission) -> str:
        return f"{permission.content_type.app_label}.{permission.codename}"

    events = Event.objects.filter(object_type="auth.group").order_by("id")
    assert [event.action for event in events] == ["created", "updated", "deleted"]
    assert events[1].changes == {"permissions": [[code(first)], [code(second)]]}


def test_ones_own_change_of_password_is_recorded() -> None:
    user, new = make_staff(), "another horse battery staple"
    client = client_of(user)
    page = reverse("admin:password_change")

    client.post(page, {"old_password": "x", "new_password1": new, "new_password2": new})
    client.post(page, {"old_password": PASSWORD, "new_password1": new, "new_password2": new})

    assert [action for _, action, _ in acts()] == ["password_refused", "password_changed"]


def test_an_account_that_is_made_on_the_command_line_is_recorded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    code, _, err = run(
        "createsuperuser", "--noinput", "--username", "ops", "--email", "a@b.example"
    )

    assert (code, err) == (0, "")
    (event,) = Event.objects.all()
    assert (event.object_label, event.action, event.source) == ("ops", "created", "command")
    assert event.changes["is_superuser"] == [None, True]
    assert not any("password" in name for name in event.changes)


def test_a_password_that_is_set_on_the_command_line_is_recorded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = make_staff()
    monkeypatch.setattr("getpass.getpass", lambda prompt: "Vz7-quite-another-one")

    code, _, _ = run("changepassword", account.username)

    account.refresh_from_db()
    assert code == 0
    assert account.check_password("Vz7-quite-another-one")
    (event,) = Event.objects.all()
    assert (event.object_label, event.action) == (account.username, "password_changed")
    assert event.changes == {}


def test_a_command_that_is_refused_records_nothing(run: Run) -> None:
    assert run("changepassword", "nobody")[0] != 0
    assert not Event.objects.exists()
