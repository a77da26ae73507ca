"""What a request would be answered, said without counting or recording anything."""

from typing import Any

import pytest
from django.conf import settings

from apikeys import lifecycle as keys
from apikeys.guard import throttling
from gateway import lifecycle
from gateway.decisions import preview
from gateway.models import Service
from logs.capture import spool
from tests.gateway.conftest import RULES
from tests.support.factories import ACTOR, expire, issue

pytestmark = pytest.mark.django_db


def ask(service: Service, request: str, key: Any = None, **more: Any) -> tuple[int, str, str]:
    """Return the status, the code and the rule of ``GET /path``."""
    method, _, path = request.partition(" ")
    more.setdefault("environment", "production")
    seen = preview(service.name, method=method, path=path, key=key, **more)
    return seen.status, seen.code, str(seen.rule or "")


def test_a_preview_says_which_rule_matched_and_what_it_answers(service: Service) -> None:
    key = issue(permissions=["customers:read"]).key

    assert ask(service, "GET /open/x") == (200, "", RULES[0])
    assert ask(service, "GET /v1/a?x=1", key) == (200, "", RULES[3])
    assert ask(service, "GET /v1/a") == (401, "key_missing", RULES[3])
    assert ask(service, "GET /v1/a", issue().key) == (403, "permission_denied", RULES[3])
    assert ask(service, "GET /v1/a/b", key) == (403, "no_rule", "")
    assert ask(service, "GET /v1/../a", key) == (400, "ambiguous_path", "")


def test_a_preview_judges_the_key_as_it_stands(service: Service) -> None:
    revoked, expired, far = issue().key, issue().key, issue(networks=["203.0.113.0/24"]).key
    keys.revoke(revoked, actor=ACTOR)
    expire(expired)
    for key in (revoked, expired):
        key.refresh_from_db()
    request = "POST /dear/x"

    told = [
        ask(service, request, revoked)[1],
        ask(service, request, expired)[1],
        ask(service, request, far, environment="staging")[1],
        ask(service, request, far, address="198.51.100.7")[1],
        ask(service, request, far, address="203.0.113.7")[1],
        ask(service, request, far)[1],
        ask(service, request, issue(limit_minute=4).key)[1],
        ask(service, request, far, environment="test")[1],
    ]

    assert told == [
        "key_revoked", "key_expired", "environment_mismatch", "address_not_allowed", "", "",
        "rate_limited", "environment_not_served",
    ]  # fmt: skip


def test_a_cost_above_the_limits_of_the_key_is_told_as_such(service: Service) -> None:
    key = issue(limit_minute=4, limit_hour=5, limit_day=3).key

    told = preview(
        service.name, environment="production", method="POST", path="/dear/x", key=key
    ).detail

    assert "takes 5 of the key's limit, which is 4 per minute and 3 per day, so it never" in told


def test_what_is_wrong_is_told_in_words_that_fit_a_service(service: Service) -> None:
    def told(path: str, **fields: Any) -> str:
        request = {"environment": "production", "method": "GET", "path": path} | fields
        return preview(service.name, **request).detail

    texts = told("/v1/a"), told("/v1/a", key=issue(environment="staging").key), told("v1/a")

    assert not any("/api/" in text or "endpoint" in text for text in texts)
    assert texts[1] == (
        "The key is for staging and the request went to production."
        " Send it to staging, or use a production key."
    )
    assert "with a slash first" in texts[2]


def test_a_preview_tells_of_a_disabled_and_a_deleted_service(service: Service) -> None:
    lifecycle.update(service, actor=ACTOR, fields={"is_enabled": False})
    disabled = ask(service, "GET /open/x")[1]
    lifecycle.delete(service, actor=ACTOR)

    assert (disabled, ask(service, "GET /open/x")[1]) == ("service_disabled", "unknown_service")


def test_a_preview_counts_nothing_and_records_nothing(service: Service) -> None:
    key = issue(limit_minute=5).key
    size = spool.size(settings.LOG_SPOOL)

    seen = [ask(service, "POST /dear/x", key)[0] for _ in range(3)]

    assert seen == [200, 200, 200]
    assert throttling.peek(key).remaining[0] == 5
    assert spool.size(settings.LOG_SPOOL) == size
