"""The account of whom the provider signs in: made, changed, and never the last superuser's loss."""

from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User

from audit.models import Event
from people.oidc.accounts import account_of
from people.oidc.mapping import parse_roles
from people.oidc.provider import Claims, SignInRefused
from tests.support.factories import make_staff
from tests.support.providers import ROLES

pytestmark = pytest.mark.django_db
ISSUER = "https://id.example.com"


@pytest.fixture(autouse=True)
def mapping(settings: Any) -> None:
    settings.OIDC_ROLES = parse_roles(ROLES)


def claims(*groups: str, subject: str = "1", issuer: str = ISSUER, **others: Any) -> Claims:
    values = {"name": "ada", "first_name": "Ada", "last_name": "L", "email": "ada@example.com"}
    return Claims(
        issuer=issuer, subject=subject, groups=groups, proved_at=0, **{**values, **others}
    )


def sign_in(*groups: str, **others: Any) -> User:
    return account_of(claims(*groups, **others), "192.0.2.1")


def test_the_last_active_superuser_is_never_demoted() -> None:
    boss = sign_in("bosses")
    make_staff(is_superuser=True).delete()
    idle = make_staff(is_superuser=True)
    User.objects.filter(pk=idle.pk).update(is_active=False)

    for groups in ((), ("auditors",)):
        assert sign_in(*groups) == boss
        assert User.objects.get(pk=boss.pk).is_superuser

    reasons = set(Event.objects.filter(action="updated").values_list("reason", flat=True))
    assert reasons == {"The last active superuser stays one, whatever its groups."}


def test_another_superuser_is_demoted() -> None:
    make_staff(is_superuser=True)
    sign_in("bosses")

    demoted = sign_in("auditors")

    assert not demoted.is_superuser
    assert [role.name for role in demoted.groups.all()] == ["Auditor"]
    event = Event.objects.get(action="updated")
    assert event.changes == {"is_superuser": [True, False], "roles": [[], ["Auditor"]]}


def test_the_roles_are_exactly_those_of_the_groups() -> None:
    account = sign_in("auditors", "keys-admins")
    account.groups.add(Group.objects.get(name="Key operator"))

    sign_in("auditors", "unmapped")

    assert [role.name for role in account.groups.all()] == ["Auditor"]


def test_the_same_subject_at_another_issuer_is_somebody_else() -> None:
    first = sign_in("bosses", issuer="https://old.example.com")
    second = sign_in("auditors")

    assert first != second
    assert not second.is_superuser


def test_an_account_that_was_deactivated_stays_out_and_as_it_is() -> None:
    make_staff(is_superuser=True)
    account = sign_in("auditors")
    User.objects.filter(pk=account.pk).update(is_active=False)

    with pytest.raises(SignInRefused, match=r"is deactivated\. Ask an administrator"):
        sign_in("bosses")

    account.refresh_from_db()
    assert (account.is_active, account.is_superuser) == (False, False)


def test_a_name_is_made_of_what_user_names_consist_of() -> None:
    User.objects.create_user("Zoë-Admin")

    assert sign_in("auditors", name="zoë admin").username == "zoë-admin-2"
    assert sign_in("auditors", subject="2", name="", email="x@y.example").username == "x@y.example"
    assert sign_in("auditors", subject="3", name="", email="").username == "3"


def test_a_subject_is_told_apart_by_its_case() -> None:
    assert sign_in("auditors", subject="a") != sign_in("auditors", subject="A")
    assert SocialAccount.objects.count() == 2
