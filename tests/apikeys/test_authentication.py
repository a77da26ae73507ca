"""Who is let in, and what the others are told: one test a rule, in the order of the checks."""

import base64
import secrets
from datetime import datetime, timedelta, tzinfo
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from apikeys import credentials, lifecycle
from apikeys.environments import Environment
from apikeys.lifecycle import IssuedKey
from apikeys.limits import Rate
from apikeys.models import ApiKey, SecretVersion
from apikeys.peppers import parse_peppers
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, expire, issue

pytestmark = pytest.mark.django_db

FIRST, SECOND = secrets.token_hex(32), secrets.token_hex(32)


def code(response: Any) -> str:
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["request_id"] == response["X-Request-ID"]
    return str(body["code"])


def with_parts(issued: IssuedKey, **parts: str) -> str:
    """Return the credential with some parts replaced and the checksum made right again."""
    _, tag, key_id, rest = issued.credential.split("_")
    made = {"prefix": "lk", "tag": tag, "key_id": key_id, "secret": rest[:32], **parts}
    body = "{prefix}_{tag}_{key_id}_{secret}".format(**made)
    return body + credentials.checksum(body)


def test_a_key_is_let_in_by_either_header() -> None:
    issued = issue()

    bearer = Caller(issued).get("key")
    header = Caller(HTTP_X_API_KEY=issued.credential).get("key")

    assert (bearer.status_code, header.status_code) == (200, 200)
    assert bearer.json()["id"] == issued.key.pk


def test_the_scheme_is_read_in_any_case() -> None:
    caller = Caller(HTTP_AUTHORIZATION=f"bEARER {issue().credential}")

    assert caller.get("key").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_AUTHORIZATION": ""},
        {"HTTP_AUTHORIZATION": "Bearer"},
        {"HTTP_AUTHORIZATION": "Bearer "},
        {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"a:b").decode()},
        {"HTTP_AUTHORIZATION": 'Digest username="a", realm="b"'},
        {"HTTP_X_API_KEY": " "},
    ],
)
def test_without_a_key_the_challenge_names_the_realm_and_no_error(headers: dict[str, str]) -> None:
    response = Caller(environment="staging", **headers).get("key")

    assert response.status_code == 401
    assert code(response) == "key_missing"
    assert response["WWW-Authenticate"] == 'Bearer realm="staging"'


def test_a_key_in_the_query_string_is_no_key() -> None:
    response = Caller().get(f"key?api_key={issue().credential}")

    assert code(response) == "key_missing"


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_AUTHORIZATION": "Bearer {0}", "HTTP_X_API_KEY": "{0}"},
        {"HTTP_AUTHORIZATION": "Bearer {0},Bearer {0}"},
        {"HTTP_AUTHORIZATION": "Bearer {0}, Bearer {0}"},
        {"HTTP_X_API_KEY": "{0},{0}"},
        {"HTTP_AUTHORIZATION": "Basic abc", "HTTP_X_API_KEY": "{0}"},
        {"HTTP_AUTHORIZATION": "Bearer {0}", "HTTP_X_API_KEY": ""},
        {"HTTP_AUTHORIZATION": "Basic abc,Bearer {0}"},
    ],
)
def test_more_than_one_credential_is_refused(headers: dict[str, str]) -> None:
    credential = issue().credential
    filled = {name: value.format(credential) for name, value in headers.items()}

    response = Caller(**filled).get("key")

    assert response.status_code == 400
    assert code(response) == "multiple_credentials"


def test_every_wrong_credential_gets_the_one_same_answer() -> None:
    issued = issue()
    retired = issue()
    lifecycle.regenerate(retired.key, actor=ACTOR)
    wrong = {
        "bad form": "lk_prod_nonsense",
        "two words": f"{issued.credential} x",
        "not ascii": "lk_prod_é",
        "bad checksum": issued.credential[:-1] + ("a" if issued.credential[-1] != "a" else "b"),
        "unknown id": with_parts(issued, key_id="000000000000"),
        "wrong secret": with_parts(issued, secret="0" * 32),
        "retired secret": retired.credential,
    }

    answers = {}
    for name, credential in wrong.items():
        response = Caller(credential).get("key")
        assert code(response) == "key_invalid", name
        assert 'error="invalid_token"' in response["WWW-Authenticate"]
        body = response.json() | {"request_id": ""}
        answers[str(body), response["WWW-Authenticate"]] = name

    assert len(answers) == 1


def test_the_tag_and_the_prefix_are_hints_and_the_row_decides() -> None:
    issued = issue(environment=Environment.PRODUCTION)
    disguised = with_parts(issued, tag="dev", prefix="acme")

    at_home = Caller(disguised).get("key")
    abroad = Caller(disguised, environment=Environment.DEVELOPMENT).get("key")

    assert at_home.status_code == 200
    assert code(abroad) == "environment_mismatch"


def test_a_row_moved_to_another_environment_by_hand_opens_nothing() -> None:
    issued = issue(environment=Environment.DEVELOPMENT)

    ApiKey.objects.filter(pk=issued.key.pk).update(environment=Environment.PRODUCTION)

    assert code(Caller(issued).get("key")) == "key_invalid"


def test_a_digest_copied_to_another_key_opens_nothing() -> None:
    weak, strong = issue(), issue()
    digest = SecretVersion.objects.get(key=weak.key).digest
    SecretVersion.objects.filter(key=strong.key).update(digest=digest)

    forged = with_parts(weak, key_id=strong.key.pk)

    assert code(Caller(forged).get("key")) == "key_invalid"


def test_a_revoked_key_is_refused_on_the_next_request_and_accepted_after_activation() -> None:
    issued = issue()
    caller = Caller(issued)

    lifecycle.revoke(issued.key, actor=ACTOR)
    revoked = caller.get("key")
    lifecycle.activate(issued.key, actor=ACTOR)

    assert (revoked.status_code, code(revoked)) == (401, "key_revoked")
    assert caller.get("key").status_code == 200


def test_a_key_is_refused_from_the_instant_of_its_expiry() -> None:
    issued = issue(expires_at=timezone.now() + timedelta(hours=1))
    caller = Caller(issued)
    assert caller.get("key").status_code == 200

    expire(issued.key)

    assert code(caller.get("key")) == "key_expired"


def test_a_key_of_another_environment_is_refused_by_name() -> None:
    response = Caller(issue(environment=Environment.STAGING)).get("key")

    assert response.status_code == 401
    assert code(response) == "environment_mismatch"
    assert response.json()["key_environment"] == "staging"
    assert response.json()["endpoint_environment"] == "production"
    assert 'realm="production"' in response["WWW-Authenticate"]


def test_a_wrong_secret_learns_nothing_about_the_key() -> None:
    revoked = issue(environment=Environment.STAGING)
    lifecycle.revoke(revoked.key, actor=ACTOR)
    expire(revoked.key)

    guess = Caller(with_parts(revoked, secret="0" * 32)).get("key")

    assert code(guess) == "key_invalid"


def test_revoked_comes_before_expired_before_environment_before_address() -> None:
    issued = issue(environment=Environment.STAGING, networks=["192.0.2.0/24"])
    caller = Caller(issued)
    told = []

    expire(issued.key)
    lifecycle.revoke(issued.key, actor=ACTOR)
    told.append(code(caller.get("key")))
    lifecycle.activate(issued.key, actor=ACTOR)
    told.append(code(caller.get("key")))
    ApiKey.objects.filter(pk=issued.key.pk).update(expires_at=None)
    told.append(code(caller.get("key")))
    told.append(code(Caller(issued, environment=Environment.STAGING).get("key")))

    assert told == ["key_revoked", "key_expired", "environment_mismatch", "address_not_allowed"]


def test_a_key_is_used_from_its_networks_only() -> None:
    issued = issue(networks=["192.0.2.0/24", "2001:db8::/32"])

    inside = [Caller(issued, REMOTE_ADDR=a).get("key") for a in ("192.0.2.7", "2001:db8::7")]
    outside = Caller(issued, REMOTE_ADDR="198.51.100.7").get("key")

    assert [response.status_code for response in inside] == [200, 200]
    assert (outside.status_code, code(outside)) == (403, "address_not_allowed")
    assert "198.51.100.7" in outside.json()["detail"]


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(settings: LazySettings) -> None:
    issued = issue(networks=["192.0.2.0/24"])
    claim = {"HTTP_X_FORWARDED_FOR": "192.0.2.7", "REMOTE_ADDR": "10.1.1.1"}

    untrusted = Caller(issued, **claim).get("key")
    settings.TRUSTED_PROXIES = (ip_network("10.1.0.0/16"),)
    trusted = Caller(issued, **claim).get("key")

    assert code(untrusted) == "address_not_allowed"
    assert trusted.status_code == 200


def test_an_overlap_accepts_both_secrets_until_it_ends() -> None:
    old = issue()
    new = lifecycle.regenerate(old.key, actor=ACTOR, overlap=timedelta(hours=1))
    during = [Caller(issued).get("key").status_code for issued in (old, new)]

    SecretVersion.objects.filter(number=1).update(retires_at=timezone.now())
    after = [Caller(issued).get("key").status_code for issued in (old, new)]

    assert (during, after) == ([200, 200], [401, 200])


def test_a_key_is_signed_anew_under_the_newest_pepper_when_it_is_next_used(
    settings: LazySettings,
) -> None:
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST}")
    issued = issue()
    settings.API_KEY_PEPPERS = parse_peppers(f"1:{FIRST},2:{SECOND}")

    rotated = Caller(issued).get("key")
    settings.API_KEY_PEPPERS = parse_peppers(f"2:{SECOND}")
    without_the_old = Caller(issued).get("key")

    assert (rotated.status_code, without_the_old.status_code) == (200, 200)
    assert SecretVersion.objects.get(key=issued.key).pepper == 2


def test_refused_requests_of_an_address_are_limited_and_good_ones_are_not(
    settings: LazySettings,
) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(3, 60)
    issued = issue()
    address = {"REMOTE_ADDR": "198.51.100.77"}
    stranger, friend = Caller("nonsense", **address), Caller(issued, **address)

    refused = [stranger.get("key") for _ in range(5)]

    assert [response.status_code for response in refused] == [401, 401, 401, 429, 429]
    assert code(refused[-1]) == "too_many_failures"
    assert 0 < int(refused[-1]["Retry-After"]) <= 60
    assert friend.get("key").status_code == 200
    assert Caller("nonsense").get("key").status_code == 401


def test_authentication_is_one_query(django_assert_num_queries: Any) -> None:
    issued = issue(permissions=["licenses:read"])
    caller = Caller(issued)
    caller.get("key")

    # Its own query goes through the driver and is not seen here; what is seen is the view's.
    with django_assert_num_queries(1):
        caller.get("licenses")


def test_the_calling_key_is_shown_from_that_query(django_assert_num_queries: Any) -> None:
    caller = Caller(issue(name="Shown"))

    with django_assert_num_queries(0):
        shown = caller.get("key").json()

    assert shown["name"] == "Shown"


class HostAhead(datetime):
    """A host's clock that is two hours fast."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "HostAhead":
        return super().now(tz) + timedelta(hours=2)


def test_a_key_expires_by_the_clock_that_all_hosts_share(
    monkeypatch: pytest.MonkeyPatch, is_postgresql: bool
) -> None:
    issued = issue(expires_at=timezone.now() + timedelta(hours=1))
    monkeypatch.setattr("apikeys.guard.key_lookup.datetime", HostAhead)

    status = Caller(issued).get("key").status_code

    # SQLite has one host, and its clock is the one there is.
    assert status == (200 if is_postgresql else 401)
