"""Acts that widen in production ask for a proof once the last is old, and keep what was typed."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.models import ApiKey
from audit.models import Event
from backoffice.proofs import PROVED_AT
from handover import lifecycle as hand_overs
from tests.apikeys.test_admin import CREDENTIAL, change, create, dialog
from tests.review.test_propose_page import address, confirm
from tests.support.factories import ACTOR, PASSWORD, issue, make_customer, make_staff

pytestmark = pytest.mark.django_db

ASKED = "Confirm that it is you, and send it again."
CONFIRM = reverse("admin:confirm")


@pytest.fixture(autouse=True)
def fresh_budgets() -> None:
    """Forget the failures of other tests."""
    cache.clear()


def old_session(user: User, minutes: float = 61) -> Client:
    """Return the browser of somebody who signed in so long ago."""
    client = Client()
    client.force_login(user)
    session = client.session
    session[PROVED_AT] = time.time() - minutes * 60
    session.save()
    return client


@pytest.fixture
def staff() -> Client:
    """An administrator of keys whose last proof is too old."""
    return old_session(make_staff("Key administrator"))


def test_creating_asks_and_keeps_what_was_typed(staff: Client) -> None:
    asked = create(staff, name="Kept", environment="production", limit_minute=7)
    wrong = create(staff, name="Kept", environment="production", **{"proof-password": "wrong"})
    made = create(staff, name="Kept", environment="production", **{"proof-password": PASSWORD})

    assert ASKED in asked.text
    assert 'value="Kept"' in asked.text
    assert 'name="proof-password"' in asked.text
    assert 'form="apikey_form"' in asked.text
    assert "The password is wrong. Type it again." in wrong.text
    assert CREDENTIAL.search(made.text)
    assert ApiKey.objects.count() == 1
    actions = Event.objects.exclude(object_type="apikeys.apikey").values_list("action", flat=True)
    assert sorted(actions) == ["identity_confirmed", "password_refused"]


def test_a_proof_lasts(staff: Client) -> None:
    create(staff, environment="production", **{"proof-password": PASSWORD})

    assert CREDENTIAL.search(create(staff, environment="production").text)


@pytest.mark.parametrize("environment", ["staging", "development"])
def test_elsewhere_nothing_is_asked(staff: Client, environment: str) -> None:
    assert CREDENTIAL.search(create(staff, environment=environment).text)


def test_a_young_proof_is_enough() -> None:
    client = old_session(make_staff("Key administrator"), minutes=59)

    assert CREDENTIAL.search(create(client, environment="production").text)


def test_the_age_is_a_setting(settings: Any) -> None:
    settings.REAUTHENTICATE_MINUTES = 5
    client = old_session(make_staff("Key administrator"), minutes=6)

    assert ASKED in create(client, environment="production").text


@pytest.mark.parametrize("action", ["regenerate", "activate", "regenerate_and_hand_over"])
def test_a_dialog_asks_too(staff: Client, action: str) -> None:
    key = issue().key
    if action == "activate":
        lifecycle.revoke(key, actor=ACTOR)
    before = Event.objects.about(key).count()

    asked = dialog(staff, action, key)
    unchanged = Event.objects.about(key).count() == before
    done = dialog(staff, action, key, **{"proof-password": PASSWORD})

    assert ASKED in asked.text
    assert 'name="proof-password"' in asked.text
    assert unchanged
    assert done.status_code == 200
    assert Event.objects.about(key).count() == before + 1


def test_handing_a_new_key_over_asks_too(staff: Client) -> None:
    fields = {"environment": "production", "_hand_over": ""}

    asked = create(staff, **fields)
    made = create(staff, **fields, **{"proof-password": PASSWORD})

    assert ASKED in asked.text
    assert "/handover/" not in asked.text
    assert "/handover/" in made.text


def test_revoking_asks_for_nothing(staff: Client) -> None:
    key = issue().key

    dialog(staff, "revoke", key)

    assert ApiKey.objects.get().is_revoked


SOON, LATER = timedelta(days=5), timedelta(days=50)
WIDENINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a permission": ({}, {"permissions": ["customers:read"]}),
    "a limit": ({"limit_minute": 5}, {"limit_minute": 6}),
    "a limit's default": ({"limit_minute": 5}, {"limit_minute": None}),
    "the last network": ({"networks": ["10.0.0.0/8"]}, {"networks": []}),
    "a wider network": ({"networks": ["10.1.0.0/16"]}, {"networks": ["10.0.0.0/8"]}),
    "the expiry": ({"expires_at": SOON}, {"expires_at": None}),
    "a later expiry": ({"expires_at": SOON}, {"expires_at": LATER}),
    "all customers": ({"customers": []}, {"customers": None}),
}
NARROWINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{f"not {name}": (after, before) for name, (before, after) in WIDENINGS.items()},
    "a name": ({"name": "A"}, {"name": "B"}),
    "nothing": ({"limit_minute": 5}, {"limit_minute": 5}),
}
STALE = ACTOR.__class__(ACTOR.source, ACTOR.name, is_proved=False)


def settings_of(chosen: dict[str, Any]) -> dict[str, Any]:
    return {
        name: timezone.now() + value if isinstance(value, timedelta) else value
        for name, value in chosen.items()
    }


@pytest.mark.parametrize("name", WIDENINGS)
def test_what_widens_a_key_asks(name: str) -> None:
    before, after = (settings_of(chosen) for chosen in WIDENINGS[name])
    key = issue(**before).key
    other = issue(environment=Environment.STAGING, **before).key

    with pytest.raises(Exception, match=ASKED):
        lifecycle.update(key, actor=STALE, **after)
    lifecycle.update(other, actor=STALE, **after)

    assert ApiKey.objects.get(pk=key.pk).revision == key.revision


@pytest.mark.parametrize("name", NARROWINGS)
def test_what_does_not_widen_a_key_asks_for_nothing(name: str) -> None:
    before, after = (settings_of(chosen) for chosen in NARROWINGS[name])
    key = issue(**before).key

    lifecycle.update(key, actor=STALE, **after)


def test_handing_a_key_over_asks_and_taking_it_does_not() -> None:
    key = issue().key

    with pytest.raises(Exception, match=ASKED):
        hand_overs.regenerate(key, hand_overs.terms(24), actor=STALE)
    with pytest.raises(Exception, match=ASKED):
        hand_overs.create(
            hand_overs.terms(24), environment=Environment.PRODUCTION, actor=STALE, name="New"
        )
    offer = hand_overs.regenerate(key, hand_overs.terms(24), actor=ACTOR)

    assert hand_overs.use(offer.hand_over, actor=ACTOR) is not None


def test_a_customer_more_asks() -> None:
    first, second = make_customer(), make_customer()
    key = issue(customers=[first.pk]).key

    with pytest.raises(Exception, match=ASKED):
        lifecycle.update(key, actor=STALE, customers=[first.pk, second.pk])
    lifecycle.update(key, actor=STALE, customers=[])


def test_the_page_of_a_key_asks_and_keeps_what_was_typed(staff: Client) -> None:
    key = issue(limit_minute=5, name="Before").key

    asked = change(staff, key, name="Typed", limit_minute=50)
    done = change(staff, key, name="Typed", limit_minute=50, **{"proof-password": PASSWORD})

    assert ASKED in asked.text
    assert 'value="Typed"' in asked.text
    assert 'value="50"' in asked.text
    assert done.status_code == 302
    assert ApiKey.objects.get().limit_minute == 50


def test_the_activation_of_many_asks_once(staff: Client) -> None:
    keys = [issue().key, issue().key, issue(environment=Environment.STAGING).key]
    for key in keys:
        lifecycle.revoke(key, actor=ACTOR)
    path = reverse("admin:apikeys_apikey_changelist")
    form: dict[str, Any] = {"action": "activate_selected", "_selected_action": [k.pk for k in keys]}
    seen = staff.post(path, form).context["seen"]

    asked = staff.post(path, form | {"confirmed": "1", "seen": seen})
    then = {"confirmed": "1", "seen": asked.context["seen"], "proof-password": PASSWORD}
    staff.post(path, form | then)

    assert ASKED in asked.text
    assert 'name="proof-password"' in asked.text
    assert len(asked.context["keys"]) == 2
    assert not ApiKey.objects.exclude(revoked_at=None).exists()


def test_a_proposed_change_asks(staff: Client) -> None:
    key = issue(limit_minute=5).key
    page = staff.get(address(key, limit_minute=50))

    asked = confirm(staff, page, reason="More")
    done = confirm(staff, page, reason="More", **{"proof-password": PASSWORD})

    assert ASKED in asked.text
    assert 'name="proof-password"' in asked.text
    assert 'value="More"' in asked.text
    assert done.status_code == 302
    assert ApiKey.objects.get().limit_minute == 50


def account_form(user: User, **fields: Any) -> dict[str, Any]:
    return {
        "username": user.username, "is_active": "on", "is_staff": "on",
        "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
    } | fields  # fmt: skip


@pytest.mark.parametrize("gift", ["superuser", "role"])
def test_giving_rights_to_staff_asks(gift: str) -> None:
    boss, person = old_session(make_staff(is_superuser=True)), make_staff()
    page = reverse("admin:auth_user_change", args=(person.pk,))
    role = Group.objects.get(name="Auditor")
    given: dict[str, Any] = {"is_superuser": "on"} if gift == "superuser" else {"groups": [role.pk]}
    fields = account_form(person, first_name="Ada", **given)

    harmless = boss.post(page, account_form(person, email="a@b.example"))
    asked = boss.post(page, fields)
    person.refresh_from_db()
    unchanged = not person.is_superuser and not person.groups.exists()
    done = boss.post(page, fields | {"proof-password": PASSWORD})
    person.refresh_from_db()

    assert harmless.status_code == 302
    assert ASKED in asked.text
    assert 'value="Ada"' in asked.text
    assert 'form="user_form"' in asked.text
    assert unchanged
    assert done.status_code == 302
    assert person.is_superuser or person.groups.exists()


def test_giving_a_role_more_asks() -> None:
    boss = old_session(make_staff(is_superuser=True))
    role = Group.objects.get(name="Auditor")
    more = Group.objects.get(name="Key administrator").permissions.values_list("pk", flat=True)
    page = reverse("admin:auth_group_change", args=(role.pk,))
    before = role.permissions.count()

    asked = boss.post(page, {"name": role.name, "permissions": list(more)})

    assert ASKED in asked.text
    assert role.permissions.count() == before


def test_setting_the_password_of_an_account_asks() -> None:
    user, new = make_staff(is_superuser=True), "another horse battery staple"
    boss = old_session(user)
    page = reverse("admin:auth_user_password_change", args=(user.pk,))

    answer = boss.post(page, {"usable_password": "true", "password1": new, "password2": new})

    assert answer["Location"].startswith(CONFIRM)
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_proofs_are_guessed_at_no_faster_than_passwords(staff: Client) -> None:
    key = issue().key
    for _ in range(11):
        dialog(staff, "regenerate", key, **{"proof-password": "wrong"})

    refused = dialog(staff, "regenerate", key, **{"proof-password": PASSWORD})

    assert "too many wrong passwords" in refused.text
    assert ApiKey.objects.get().secrets.count() == 1


def test_the_page_that_confirms_leads_back(staff: Client) -> None:
    page = reverse("admin:apikeys_apikey_add")

    wrong = staff.post(f"{CONFIRM}?next={page}", {"password": "wrong", "next": page})
    right = staff.post(f"{CONFIRM}?next={page}", {"password": PASSWORD, "next": page})
    elsewhere = staff.post(CONFIRM, {"password": PASSWORD, "next": "https://evil.example/"})

    assert wrong.status_code == 200
    assert right["Location"] == page
    assert elsewhere["Location"] == reverse("admin:index")


def test_factors_are_added_and_removed_by_who_has_proved_who_they_are(staff: Client) -> None:
    for name in ("add_app", "add_passkey"):
        assert staff.get(reverse(f"admin:{name}"))["Location"].startswith(CONFIRM)
    for address_ in (reverse("admin:new_codes"), reverse("admin:remove_factor", args=(1,))):
        assert staff.post(address_)["Location"].startswith(CONFIRM)
