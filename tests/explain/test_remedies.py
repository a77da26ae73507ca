"""Each refusal offers the change that would let the request pass, to whoever may make it."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.models import ApiKey
from explain.explanation import explain
from explain.remedies import Remedy, offers_for, proposed_limit, remedies_of
from gateway import lifecycle as services
from gateway.rules import parse_rules
from logs.models import DailyPeak, HourlyUsage, RequestContent, RequestLog
from tests.support.factories import ACTOR, expire, issue, make_decision, make_request, make_staff

pytestmark = pytest.mark.django_db

HERE = "/api/production/v1/customers"


def remedy_of(log: RequestLog) -> Remedy:
    (remedy,) = remedies_of(explain(log))
    return remedy


def asked(remedy: Remedy) -> dict[str, str]:
    """Return what a link to the page of proposals asks for, and not why."""
    page = urlsplit(remedy.href)
    assert page.path == reverse("admin:apikeys_apikey_propose")
    named = {name: value for name, (value,) in parse_qs(page.query).items()}
    assert named.pop("reason").startswith("Request ")
    assert named.pop("next").startswith("/admin/logs/requestlog/")
    return named


def denied(key: ApiKey, **fields: Any) -> RequestLog:
    return make_request(
        key=key, path=HERE, method="POST", status=403, code="permission_denied", **fields
    )


def test_a_missing_permission_is_granted() -> None:
    key = issue().key

    remedy = remedy_of(denied(key))

    assert remedy.label == "Grant customers:write to this key"
    assert asked(remedy) == {"key": key.pk, "add_permission": "customers:write"}


def test_nothing_is_offered_for_what_would_pass_now() -> None:
    key = issue().key
    log = denied(key)
    lifecycle.update(key, actor=ACTOR, permissions=["customers:write"])

    assert remedies_of(explain(log)) == []


def test_a_limit_is_raised_above_its_peak() -> None:
    key = issue(limit_minute=12, permissions=["customers:read"]).key
    today = timezone.now().date()
    DailyPeak.objects.create(key_id=key.pk, day=today, minute=0, busiest=31, requests=1)
    log = make_request(key=key, path=HERE, status=429, code="rate_limited")
    RequestContent.objects.filter(pk=log.pk).update(
        response_headers='{"RateLimit": "\\"minute\\";r=0;t=42, \\"hour\\";r=9;t=1"}',
    )

    remedy = remedy_of(log)

    assert remedy.label == "Raise 12 per minute (peak 31)"
    assert asked(remedy) == {"key": key.pk, "limit_minute": "40"}


def test_what_refused_it_then_is_offered_behind_what_would_refuse_it_first_now() -> None:
    key = issue().key
    log = denied(key)
    lifecycle.revoke(key, actor=ACTOR)

    labels = [remedy.label for remedy in remedies_of(explain(log))]

    assert labels == ["Grant customers:write to this key", "Activate the key"]


def test_a_limit_that_was_raised_since_is_offered_no_more() -> None:
    key = issue(limit_minute=12, permissions=["customers:read"]).key
    log = make_request(key=key, path=HERE, status=429, code="rate_limited")
    RequestContent.objects.filter(pk=log.pk).update(
        response_body='{"violated_policies": ["minute"]}'
    )
    assert len(remedies_of(explain(log))) == 1
    lifecycle.update(key, actor=ACTOR, limit_minute=40)

    assert remedies_of(explain(log)) == []


def test_an_hour_and_a_day_have_the_peak_of_their_usage() -> None:
    key = issue(limit_hour=10, limit_day=15, permissions=["customers:read"]).key
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for hour, requests in ((today, 20), (today + timedelta(hours=1), 18)):
        HourlyUsage.objects.create(
            hour=hour, environment="production", key_id=key.pk, requests=requests
        )
    log = make_request(key=key, path=HERE, status=429, code="rate_limited")
    RequestContent.objects.filter(pk=log.pk).update(
        response_body='{"violated_policies": ["hour", "day"]}'
    )

    remedies = remedies_of(explain(log))

    assert [remedy.label for remedy in remedies] == [
        "Raise 10 per hour (peak 20)", "Raise 15 per day (peak 38)",
    ]  # fmt: skip
    assert [asked(remedy) for remedy in remedies] == [
        {"key": key.pk, "limit_hour": "25"}, {"key": key.pk, "limit_day": "50"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("peak", "current", "cost", "proposed"),
    [(31, 12, 1, 40), (0, 0, 1, 2), (0, 12, 1, 20), (3, 12, 50, 65), (1000, 600, 1, 1500),
     (7, 5, 1, 9)],
)  # fmt: skip
def test_a_proposed_limit_is_round_and_has_room(
    peak: int, current: int, cost: int, proposed: int
) -> None:
    assert proposed_limit(peak, current, cost) == proposed


def test_a_key_of_another_environment_is_told_its_address() -> None:
    key = issue(environment="staging").key
    log = make_request(
        key=key, path=HERE, environment="production", status=401, code="environment_mismatch"
    )
    decision = make_decision(
        "orders", key=key, environment="production", status=401, code="environment_mismatch"
    )
    services.create("orders", actor=ACTOR)

    assert remedy_of(log).label == "Send it to /api/staging/v1/customers"
    assert remedy_of(decision).label == "Have the proxy ask /auth/staging/orders"


@pytest.mark.parametrize(
    ("address", "network"), [("203.0.113.7", "203.0.113.7/32"), ("2001:db8::7", "2001:db8::7/128")]
)
def test_a_refused_address_is_allowed_alone(address: str, network: str) -> None:
    key = issue(networks=["198.51.100.0/24"]).key
    log = make_request(key=key, path=HERE, address=address, status=403, code="address_not_allowed")

    remedy = remedy_of(log)

    assert asked(remedy) == {"key": key.pk, "add_network": network}


@pytest.mark.parametrize("address", ["", "0.0.0.0"])
def test_no_network_is_made_of_an_unknown_address(address: str) -> None:
    key = issue(networks=["198.51.100.0/24"]).key
    log = make_request(key=key, path=HERE, address=address, status=403, code="address_not_allowed")

    assert remedy_of(log).href == ""


def test_a_revoked_key_is_activated_by_its_dialog() -> None:
    key = issue().key
    log = make_request(key=key, path=HERE, status=401, code="key_revoked")
    lifecycle.revoke(key, actor=ACTOR)

    remedy = remedy_of(log)

    assert remedy.is_dialog
    assert remedy.href == reverse("admin:apikeys_apikey_activate", args=(key.pk,))


def test_an_expired_key_is_extended() -> None:
    key = issue().key
    expire(key)
    log = make_request(key=key, path=HERE, status=401, code="key_expired")

    assert asked(remedy_of(log)) == {"key": key.pk, "expires": "90d"}


def test_a_service_without_a_rule_is_opened() -> None:
    key = issue().key
    service = services.create("orders", actor=ACTOR, rules=parse_rules(["GET /a any-key"]))
    page = reverse("admin:gateway_service_change", args=(service.pk,))
    unmatched = make_decision("orders", key=key, path="/b", status=403, code="no_rule")
    unknown = make_decision("stock", key=None, path="/b", status=404, code="unknown_service")

    assert remedy_of(unmatched).label == "Add a rule to orders"
    assert remedy_of(unmatched).href == page
    assert remedy_of(unknown).label == "Create the service stock"
    services.update(service, actor=ACTOR, fields={"is_enabled": False})
    assert remedy_of(unmatched).label == "Enable orders"


def test_a_permission_that_a_rule_needs_is_granted_or_the_rule_changed() -> None:
    key = issue().key
    services.create("orders", actor=ACTOR, rules=parse_rules(["* /** orders:read"]))
    log = make_decision("orders", key=key, status=403, code="permission_denied")

    grant, change = remedies_of(explain(log))

    assert asked(grant) == {"key": key.pk, "add_permission": "orders:read"}
    assert change.label == "Change the rules of orders"


def page(user: User, log: RequestLog) -> str:
    client = Client()
    client.force_login(user)
    return client.get(reverse("admin:logs_requestlog_change", args=(log.pk,))).content.decode()


def test_who_may_not_change_the_key_is_told_whom_to_ask() -> None:
    log = denied(issue().key)
    administrator = make_staff("Key administrator")
    auditor = make_staff("Auditor")

    (for_one,) = offers_for(administrator, explain(log))
    (for_other,) = offers_for(auditor, explain(log))

    assert for_one.is_allowed
    assert not for_other.is_allowed
    assert "Key administrator" in for_other.ask
    assert administrator.username in for_other.ask
    assert "add_permission=customers%3Awrite" in page(administrator, log)
    shown = page(auditor, log)
    assert "add_permission" not in shown
    assert "Ask somebody with the role Key administrator" in shown
    assert "Changed since" in shown


def test_who_may_not_see_keys_sees_no_explanation() -> None:
    user = make_staff()
    may_view = Permission.objects.get(codename="view_requestlog")
    group = Group.objects.create(name="Log reader")
    group.permissions.add(may_view)
    user.groups.add(group)
    log = denied(issue().key)

    assert 'id="explanation"' not in page(user, log)
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    shown = page(User.objects.get(pk=user.pk), log)
    assert 'id="explanation"' in shown
    assert "Changed since" not in shown
