"""Second factors: what opens the account, how often, and what stays shut without one."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse
from django_ratelimit.core import _get_window

from audit.models import Event
from people.confirmation import ProofForm
from people.second_factor import factors
from tests.support.command_line import Run
from tests.support.factories import ACTOR, PASSWORD, make_staff

pytestmark = pytest.mark.django_db

LOGIN, STEP = reverse("admin:login"), reverse("admin:second_factor")
SECURITY, ADD_APP = reverse("admin:security"), reverse("admin:add_app")
SECRET = re.compile(r'id="totp-secret">([A-Z2-7 ]+)<')
CODE = re.compile(r"<code>(\d{4}-\d{4})</code>")


class Clock:
    """The clock by which codes are made and accepted."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stand still, and forget the failures of other tests."""
    cache.clear()
    stopped = Clock()
    monkeypatch.setattr(totp, "time", stopped)
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=stopped.time))
    return stopped


def code_of(secret: str, clock: Clock, *, steps: int = 0) -> str:
    counter = int(clock.now) // 30 + steps
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))


def entered(user: User, **extra: str) -> Client:
    """Return the browser of somebody who has just typed the password."""
    client = Client(REMOTE_ADDR=extra.get("address", "192.0.2.1"))
    answer = client.post(LOGIN, {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def enrol(user: User, clock: Clock) -> tuple[str, list[str]]:
    """Set up an authenticator app on the page; return its secret and the recovery codes."""
    client = entered(user)
    page = client.get(ADD_APP)
    found = SECRET.search(page.text)
    assert found
    secret = found[1].replace(" ", "")
    setup = page.context["setup"]
    done = client.post(ADD_APP, {"setup": setup, "code": code_of(secret, clock)})
    clock.now += 60
    return secret, CODE.findall(done.text)


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


def test_the_password_alone_opens_nothing_once_there_is_a_factor(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, codes = enrol(user, clock)
    client = entered(user)

    before = is_in(client)
    page = client.get(STEP)
    done = client.post(STEP, {"code": code_of(secret, clock)})

    assert len(codes) == 10
    assert not before
    assert page.status_code == 200
    assert done.status_code == 302
    assert is_in(client)
    last = Event.objects.filter(action="signed_in").order_by("-id")[0]
    assert last.reason == "With the password. Then with the authenticator app."


def test_a_code_is_accepted_once(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    code = code_of(secret, clock)

    first = entered(user).post(STEP, {"code": code})
    again = entered(user, address="192.0.2.2").post(STEP, {"code": code})
    older = entered(user, address="192.0.2.3").post(
        STEP, {"code": code_of(secret, clock, steps=-1)}
    )

    assert first.status_code == 302
    assert (again.status_code, older.status_code) == (200, 200)
    assert "was used before" in again.text


@pytest.mark.django_db(transaction=True)
def test_a_code_that_is_sent_twice_at_once_is_accepted_once(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, codes = enrol(user, clock)

    def accepts(code: str) -> bool:
        try:
            return bool(factors.accepts(user, code))
        finally:
            connection.close()

    for code in (code_of(secret, clock), codes[0]):
        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(accepts, [code] * 4)) == [False, False, False, True]


def test_a_recovery_code_opens_once(clock: Clock) -> None:
    user = make_staff("Auditor")
    _, codes = enrol(user, clock)

    first = entered(user).post(STEP, {"code": codes[3]})
    again = entered(user, address="192.0.2.2").post(STEP, {"code": codes[3]})

    assert (first.status_code, again.status_code) == (302, 200)


def test_recovery_codes_are_shown_once_and_replaced_by_new_ones(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, codes = enrol(user, clock)
    client = entered(user)
    client.post(STEP, {"code": code_of(secret, clock)})

    page = client.get(SECURITY)
    made = client.post(reverse("admin:new_codes"))
    new = CODE.findall(made.text)

    assert not CODE.search(page.text)
    assert "no-store" in made["Cache-Control"]
    assert len(new) == 10
    assert not set(new) & set(codes)
    assert factors.accepts(user, codes[0]) == ""
    assert factors.accepts(user, new[0]) == "recovery codes"


def test_codes_are_guessed_at_no_faster_than_passwords(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    client = entered(user, address="192.0.2.70")

    statuses = [client.post(STEP, {"code": f"{n:06}"}).status_code for n in range(12)]
    right = client.post(STEP, {"code": code_of(secret, clock)})

    assert statuses == [200] * 10 + [429] * 2
    assert right.status_code == 429
    assert int(right["Retry-After"]) > 0
    assert Event.objects.filter(action="second_factor_refused").count() == 10


def test_nothing_at_rest_is_a_second_factor(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, codes = enrol(user, clock)

    kept = str(list(Authenticator.objects.values())) + str(list(Event.objects.values()))

    assert secret not in kept
    for code in codes:
        assert code not in kept
        assert code.replace("-", "") not in kept


def test_codes_under_another_secret_key_are_explained(settings: Any, clock: Clock) -> None:
    user = make_staff("Auditor")
    _, codes = enrol(user, clock)
    client = entered(user)
    settings.SECRET_KEY = "another secret key of at least 32 characters"

    with pytest.raises(Exception, match="reset_second_factor"):
        factors.accepts(user, codes[0])
    assert not is_in(client)


def test_adding_a_factor_ends_the_sessions_that_have_not_proved_it(clock: Clock) -> None:
    user = make_staff("Auditor")
    elsewhere = entered(user)
    assert is_in(elsewhere)

    enrol(user, clock)

    assert not is_in(elsewhere)


def test_who_waits_for_the_second_factor_is_not_let_in_after_a_new_password(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    client = entered(user)
    user.set_password("another passphrase 7")
    user.save()

    answer = client.post(STEP, {"code": code_of(secret, clock)})

    assert answer["Location"] == LOGIN
    assert not is_in(client)


def addresses() -> Iterator[str]:
    """Return an address of every page of the admin."""
    for pattern in admin.site.get_urls():
        for page in getattr(pattern, "url_patterns", [pattern]):
            if page.name is None:
                continue
            for arguments in ((), ("1",), ("1", "1")):
                try:
                    yield reverse(f"admin:{page.name}", args=arguments)
                except NoReverseMatch:
                    continue


OPEN = {
    reverse(f"admin:{name}")
    for name in (
        "login", "logout", "oidc_begin", "oidc_callback", "second_factor", "confirm", "security",
        "add_app", "add_passkey",
    )
} | {reverse("admin:end_session", args=(1, 1))}  # fmt: skip


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_address_of_the_admin_gets_around_enrolment(settings: Any, method: str) -> None:
    settings.REQUIRE_SECOND_FACTOR = "all"
    client = Client()
    client.force_login(make_staff(is_superuser=True))
    tried = sorted(set(addresses()) - OPEN)

    answers = {address: getattr(client, method)(address) for address in tried}

    assert len(tried) > 60
    assert {(answer.status_code, answer["Location"]) for answer in answers.values()} == {
        (302, SECURITY)
    }


def test_a_dialog_leads_to_enrolment_too(settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = "all"
    client = Client()
    client.force_login(make_staff("Auditor"))

    answer = client.get(reverse("admin:index"), headers={"HX-Request": "true"})

    assert answer["HX-Redirect"] == SECURITY


@pytest.mark.parametrize(
    ("required", "is_superuser", "must"),
    [("none", True, False), ("superusers", True, True), ("superusers", False, False),
     ("all", False, True)],
)  # fmt: skip
def test_who_must_enrol(settings: Any, required: str, is_superuser: bool, must: bool) -> None:
    settings.REQUIRE_SECOND_FACTOR = required
    client = Client()
    client.force_login(make_staff("Auditor", is_superuser=is_superuser))

    assert is_in(client) != must


def test_the_last_factor_stays_where_one_is_required(settings: Any, clock: Clock) -> None:
    settings.REQUIRE_SECOND_FACTOR = "all"
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    client = entered(user)
    client.post(STEP, {"code": code_of(secret, clock)})
    app = factors.of(user).get()

    answer = client.post(reverse("admin:remove_factor", args=(app.pk,)), follow=True)

    assert "Add another before you remove this." in answer.text
    assert factors.of(user).exists()


def test_nobody_removes_the_factor_of_another(clock: Clock) -> None:
    user, other = make_staff("Auditor"), make_staff(is_superuser=True)
    enrol(user, clock)
    app = factors.of(user).get()

    entered(other).post(reverse("admin:remove_factor", args=(app.pk,)))

    assert factors.of(user).exists()


def test_a_lost_factor_is_reset_by_a_command(run: Run, clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    client = entered(user)
    client.post(STEP, {"code": code_of(secret, clock)})

    code, _, _ = run("reset_second_factor", user.username, "--reason", "Phone lost, known by voice")
    unknown, _, stderr = run("reset_second_factor", "nobody", "--reason", "x")

    assert code == 0
    assert not Authenticator.objects.filter(user=user).exists()
    assert not is_in(client)
    event = Event.objects.filter(action="second_factor_reset").get()
    assert (event.object_label, event.reason) == (user.username, "Phone lost, known by voice")
    assert unknown == 2
    assert stderr.count("\n") == 1


def test_a_session_that_has_not_proved_the_factor_adds_no_other(clock: Clock) -> None:
    user = make_staff("Auditor")
    enrol(user, clock)
    client = Client()
    client.force_login(user)

    answer = client.get(reverse("admin:add_passkey"))
    password = client.post(reverse("admin:confirm"), {"password": PASSWORD})

    assert answer["Location"].startswith(reverse("admin:confirm"))
    assert password.status_code == 200


def test_every_change_of_a_factor_is_an_event(clock: Clock) -> None:
    user = make_staff("Auditor")
    enrol(user, clock)
    factors.remove(user, factors.of(user).get().pk, actor=ACTOR)

    actions = list(Event.objects.order_by("id").values_list("action", flat=True))

    assert actions == [
        "signed_in", "second_factor_added", "recovery_codes_made", "second_factor_removed",
    ]  # fmt: skip
    assert not Authenticator.objects.filter(user=user).exists()


def test_a_session_whose_factors_are_gone_has_to_enrol_again(settings: Any, clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    client = entered(user)
    client.post(STEP, {"code": code_of(secret, clock)})
    factors.remove(user, factors.of(user).get().pk, actor=ACTOR)
    settings.REQUIRE_SECOND_FACTOR = "all"

    answer = client.get(reverse("admin:index"))

    assert (answer.status_code, answer["Location"]) == (302, SECURITY)


def test_adding_a_factor_and_ending_the_other_sessions_is_one_change(
    clock: Clock,
) -> None:
    user = make_staff("Auditor")
    entered(user)
    entered(user)

    enrol(user, clock)

    event = Event.objects.get(action="second_factor_added")
    assert event.reason == "authenticator app"
    assert event.changes == {"sessions": [3, 1]}


def test_codes_are_guessed_at_no_faster_by_who_knows_the_password(clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    client = entered(user, address="192.0.2.71")
    clock.now = _get_window(f"192.0.2.71 {user.username}", 3600) + 1

    answers = [client.post(STEP, {"code": f"{number:06}"}).status_code for number in range(10)]
    # The budget of failures of all kinds is whole again.
    clock.now += 360
    refused = client.post(STEP, {"code": code_of(secret, clock)})
    clock.now += 3600
    accepted = client.post(STEP, {"code": code_of(secret, clock)})

    assert answers == [200] * 10
    assert refused.status_code == 429
    assert 3000 < int(refused["Retry-After"]) <= 3600
    assert accepted.status_code == 302


def test_an_account_takes_30_wrong_codes_an_hour_from_everywhere(run: Run, clock: Clock) -> None:
    user = make_staff("Auditor")
    secret, _ = enrol(user, clock)
    for network in range(3):
        client = entered(user, address=f"198.51.100.{network}")
        for number in range(10):
            assert client.post(STEP, {"code": f"{number:06}"}).status_code == 200
    client = entered(user, address="192.0.2.72")

    refused = client.post(STEP, {"code": code_of(secret, clock)})
    reset, _, _ = run("reset_second_factor", user.username, "--reason", "Known by voice")

    assert refused.status_code == 429
    assert reset == 0
    assert is_in(entered(user, address="192.0.2.72"))


def test_a_passkey_is_verified_when_codes_are_not_any_more(clock: Clock) -> None:
    user = make_staff("Auditor")
    enrol(user, clock)
    Authenticator.objects.create(user=user, type="webauthn", data={"name": "Phone"})

    def errors(network: str, **proof: str) -> str:
        request = RequestFactory().post(STEP, REMOTE_ADDR=network)
        form = ProofForm(request, user, proof, must_be_factor=True)
        assert not form.is_valid()
        return str(form.non_field_errors())

    for number in range(30):
        assert "is wrong" in errors(f"198.51.100.{number // 5}", code=f"{number:06}")

    assert "too many wrong passwords or codes" in errors("192.0.2.73", code="000031")
    assert "The passkey was not accepted." in errors("192.0.2.73", credential="{}x")
