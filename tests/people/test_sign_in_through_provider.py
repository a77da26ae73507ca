"""Sign-in through a real provider: who comes in, as what, and what is refused."""

import html
import json
import secrets
from typing import Any

import httpx
import pytest

from tests.people.conftest import Person
from tests.support.identity_provider import CLIENT_SECRET
from tests.support.product import PAIRS, Latchkey
from tests.support.providers import IdentityProvider

BOTH = pytest.mark.parametrize("provider_and_product", PAIRS, indirect=True)
ONE = pytest.mark.parametrize("provider_and_product", PAIRS[:1], indirect=True)
Servers = tuple[IdentityProvider, Latchkey]

ACCOUNT = """
import json
from django.contrib.auth.models import User
from audit.models import Event
user = User.objects.filter(username={name!r}).first()
events = Event.objects.filter(object_label={name!r}).order_by("id")
refused = Event.objects.filter(action="sign_in_refused").order_by("id")
print(json.dumps({{
    "exists": user is not None,
    "is_superuser": bool(user and user.is_superuser),
    "roles": sorted(user.groups.values_list("name", flat=True)) if user else [],
    "email": user.email if user else "",
    "events": [event.action for event in events],
    "password": user.has_usable_password() if user else False,
    "causes": [event.reason for event in refused],
}}))
"""

FACTOR = """
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
user = User.objects.get(username={name!r})
Authenticator.objects.create(user=user, type="totp", data={{"secret": "x"}})
"""


@pytest.fixture(autouse=True)
def honest(provider_and_product: Servers) -> None:
    """Let the provider tell the truth at the beginning of each test."""
    provider_and_product[0].forge()


def someone(product: Latchkey, name: str = "") -> Person:
    person = Person(product, name or f"person{secrets.token_hex(4)}")
    # A network of its own: what one test guesses wrong must not close the next one's.
    network = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    person.http.headers["X-Forwarded-For"] = network
    return person


def account(product: Latchkey, name: str) -> dict[str, Any]:
    done = product.manage("shell", "-v0", "-c", ACCOUNT.format(name=name))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@BOTH
def test_the_groups_give_the_roles_at_every_sign_in(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "keys-admins", "unmapped")

    answer = person.sign_in()
    first = account(product, person.name)
    provider.know(person.name, "auditors")
    someone(product, person.name).sign_in()
    second = account(product, person.name)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/apikeys/apikey/")
    assert person.is_signed_in()
    assert (first["roles"], first["password"]) == (["Key administrator"], False)
    assert first["email"] == f"{person.name}@example.com"
    assert second["roles"] == ["Auditor"]
    assert second["events"] == ["created", "signed_in", "updated", "signed_in"]


@BOTH
def test_without_a_mapped_group_there_is_no_account(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "unmapped")

    answer = person.sign_in()

    assert answer.status_code == 403
    assert "None of your groups at the provider has a role here." in answer.text
    assert not account(product, person.name)["exists"]


@BOTH
def test_who_loses_the_last_group_loses_the_session_too(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "keys-admins")
    person.sign_in()
    person.get("/admin/")
    provider.know(person.name)

    answer = someone(product, person.name).sign_in()

    assert answer.status_code == 403
    assert account(product, person.name)["roles"] == []
    assert not person.is_signed_in()


@ONE
def test_an_account_of_the_same_name_or_address_is_not_taken_over(
    provider_and_product: Servers,
) -> None:
    provider, product = provider_and_product
    person = someone(product, "Admin")
    provider.know("Admin", "auditors", email="admin@example.com")

    person.sign_in()

    assert account(product, "admin")["is_superuser"]
    assert account(product, "Admin-2")["roles"] == ["Auditor"]


# How a token is forged, and what the trail says of it.
FORGERIES: dict[str, tuple[dict[str, Any], str]] = {
    "another audience": ({"claims": {"aud": "somebody-else"}}, "Audience"),
    "another client": ({"claims": {"aud": ["latchkey", "b"], "azp": "b"}}, "another client"),
    "several audiences": ({"claims": {"aud": ["latchkey", "b"]}}, "another client"),
    "another issuer": ({"claims": {"iss": "https://id.example.com"}}, "issuer"),
    "expired": ({"ago": 3600}, "expired"),
    "no expiry": ({"without": ["exp"]}, '"exp"'),
    "an unknown key id": ({"header": {"kid": "unknown"}}, "key id is unknown"),
    "another key under a known id": ({"stranger": True}, "Signature"),
    "another nonce": ({"claims": {"nonce": "of-another-sign-in"}}, "nonce is another"),
    "no nonce": ({"without": ["nonce"]}, '"nonce"'),
    "no signature": ({"header": {"alg": "none"}}, "algorithm"),
    "signed with the client secret": (
        {"header": {"alg": "HS256"}, "secret": CLIENT_SECRET}, "algorithm",
    ),
    "no subject": ({"without": ["sub"]}, '"sub"'),
}  # fmt: skip


@ONE
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_token_that_proves_nothing_is_refused(
    provider_and_product: Servers, forgery: str
) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "bosses")
    how, cause = FORGERIES[forgery]
    provider.forge(**how)

    answer = person.sign_in()

    assert answer.status_code == 403, answer.text
    assert "What the provider said of you could not be verified." in answer.text
    assert "Try again, and tell an operator if it happens again." in answer.text
    assert not person.is_signed_in()
    stored = account(product, person.name)
    assert not stored["exists"]
    assert cause in stored["causes"][-1]


@ONE
def test_an_unverified_address_is_refused(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "bosses", email_verified=False)

    answer = person.sign_in()

    assert answer.status_code == 403
    assert "has not verified your e-mail address. Verify it there" in " ".join(answer.text.split())
    assert account(product, person.name)["causes"][-1] == "The e-mail address is not verified."


@ONE
def test_an_answer_belongs_to_the_browser_and_the_sign_in_that_asked(
    provider_and_product: Servers,
) -> None:
    provider, product = provider_and_product
    victim, attacker = someone(product), someone(product)
    provider.know(attacker.name, "auditors")
    address = attacker.return_address()

    elsewhere = victim.http.get(address)
    made_up = attacker.http.get(address.replace("state=", "state=x"))
    first = attacker.http.get(address)
    again = attacker.http.get(address)

    assert (elsewhere.status_code, made_up.status_code) == (403, 403)
    assert "was not begun in this browser" in elsewhere.text
    assert first.status_code == 302
    assert again.status_code == 403


@ONE
def test_the_code_is_worth_nothing_without_its_verifier(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    victim, attacker = someone(product), someone(product)
    provider.know(victim.name, "bosses")
    provider.know(attacker.name, "auditors")
    stolen = victim.return_address().partition("code=")[2].partition("&")[0]
    own = attacker.return_address()
    mixed = own.replace(own.partition("code=")[2].partition("&")[0], stolen)

    answer = attacker.http.get(mixed)

    assert answer.status_code == 403
    assert account(product, victim.name)["exists"] is False


def prove_again(person: Person, *, name: str = "") -> Any:
    """Press the button of the page that asks for a proof, and sign in at the provider again."""
    away = person.post("/admin/oidc/begin/", next="/admin/security/", is_proof="1")
    page = person.http.get(away.headers["Refresh"].partition("url=")[2])
    while "/login/" in page.headers.get("Location", ""):
        login = page.url.join(page.headers["Location"])
        page = person.http.post(login, data={"username": name or person.name})
        page = person.http.get(page.url.join(page.headers["Location"]))
    return person.http.get(page.headers["Location"])


@ONE
def test_the_provider_proves_again_who_somebody_is(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "auditors")
    person.sign_in()
    token = person.http.cookies["csrftoken"]

    page = person.get("/admin/confirm/").text
    proved = prove_again(person)

    assert "Sign in again with 127.0.0.1" in page
    assert (proved.status_code, proved.headers["Location"]) == (302, "/admin/security/")
    assert account(product, person.name)["events"][-1] == "identity_confirmed"
    # A form that is open in another tab can still be sent.
    assert person.http.cookies["csrftoken"] == token


@ONE
def test_a_proof_that_is_old_or_of_somebody_else_is_none(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person, other = someone(product), someone(product)
    provider.know(person.name, "auditors")
    provider.know(other.name, "auditors")
    person.sign_in()

    of_other = prove_again(person, name=other.name)
    provider.forge(claims={"auth_time": 1_700_000_000})
    old = prove_again(person)
    provider.forge(without=["auth_time"])
    unknown = prove_again(person)

    for answer in (of_other, old, unknown):
        assert answer.status_code == 403
        assert "did not have you sign in again" in answer.text
    assert "identity_confirmed" not in account(product, person.name)["events"]


@ONE
def test_the_providers_word_is_no_proof_where_a_factor_is_asked_for(
    provider_and_product: Servers,
) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "auditors")
    person.sign_in()
    made = product.manage("shell", "-v0", "-c", FACTOR.format(name=person.name))
    assert made.returncode == 0, made.stderr

    page = person.get("/admin/confirm/").text
    answer = prove_again(person)

    assert "Sign in again with" not in page
    assert answer.status_code == 403
    assert "Confirm that it is you with that." in answer.text
    assert "identity_confirmed" not in account(product, person.name)["events"]


@ONE
@pytest.mark.parametrize("groups", [7, {"auditors": True}, True, 0])
def test_groups_that_are_no_list_are_named(provider_and_product: Servers, groups: Any) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "auditors")
    provider.forge(claims={"groups": groups})

    answer = person.sign_in()

    assert answer.status_code == 403
    assert "The provider's claim groups is no list of names." in html.unescape(answer.text)


@ONE
def test_a_sign_in_begins_by_post_alone(provider_and_product: Servers) -> None:
    _, product = provider_and_product

    assert someone(product).get("/admin/oidc/begin/").status_code == 405


@ONE
def test_people_are_sent_to_the_provider_no_faster_than_passwords_are_verified(
    provider_and_product: Servers,
) -> None:
    _, product = provider_and_product
    person = someone(product)
    person.get("/admin/login/")

    statuses = [person.post("/admin/oidc/begin/").status_code for _ in range(62)]

    assert statuses == [200] * 60 + [429] * 2


@ONE
def test_refused_answers_are_limited_as_wrong_passwords_are(
    provider_and_product: Servers,
) -> None:
    _, product = provider_and_product
    person = someone(product)

    statuses = [_come_back_with_a_wrong_code(person).status_code for _ in range(12)]

    assert statuses == [403] * 10 + [429] * 2


def _come_back_with_a_wrong_code(person: Person) -> httpx.Response:
    state = person.leave_for_provider().headers["Refresh"].partition("state=")[2].partition("&")[0]
    return person.get(f"/admin/oidc/callback/?code=x&state={state}")


@ONE
def test_pictures_on_other_pages_close_the_sign_in_for_nobody(
    provider_and_product: Servers,
) -> None:
    provider, product = provider_and_product
    person, neighbour = someone(product), someone(product)
    neighbour.http.headers["X-Forwarded-For"] = person.http.headers["X-Forwarded-For"]
    provider.know(neighbour.name, "auditors")
    before = len(account(product, neighbour.name)["causes"])

    statuses = {person.get("/admin/oidc/callback/?code=x&state=y").status_code for _ in range(30)}

    assert statuses == {403}
    assert neighbour.sign_in().status_code == 302
    assert len(account(product, neighbour.name)["causes"]) == before


@BOTH
def test_a_name_of_odd_characters_signs_in(provider_and_product: Servers) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.know(person.name, "auditors", given_name="Zo\u00eb\0\ud800", family_name="a\r\nb")

    assert person.sign_in().status_code == 302
    assert person.is_signed_in()


@ONE
def test_a_provider_that_is_down_stops_nobody_with_a_password(
    provider_and_product: Servers,
) -> None:
    provider, product = provider_and_product
    person = someone(product)
    provider.freeze()
    try:
        answer = person.leave_for_provider()
    finally:
        provider.thaw()

    assert answer.status_code == 503
    assert answer.elapsed.total_seconds() < 8
    assert "does not answer. Wait a moment and try again" in answer.text
    assert product.visitor().get("/admin/").status_code == 200
