"""Every request under /api/ is on record, right in every field, whatever came of it."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.limiter import counters
from apikeys.limits import Rate
from apikeys.models import ApiKey
from database.circuit_breaker import CircuitBreaker
from logs.capture.spool import backlog, files
from logs.middleware import spool
from logs.models import HourlyUsage, PermissionUse, RequestContent, RequestLog
from logs.shipping.shipper import Shipper
from logs.usage_charts import key_usage
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, expire, issue, make_customer, record_line

pytestmark = pytest.mark.django_db


@pytest.fixture
def shipper() -> Iterator[Shipper]:
    """A shipper that has nothing left to ship from before."""
    for path in files(settings.LOG_SPOOL):
        path.write_bytes(b"")
    found = Shipper(settings.LOG_SPOOL)
    yield found
    found.close()


def record_of(response: Any, shipper: Shipper) -> RequestLog:
    shipper.ship()
    return RequestLog.objects.select_related("content", "key").get(pk=response["X-Request-ID"])


def test_a_good_request_is_recorded_in_every_field(shipper: Shipper) -> None:
    customer = make_customer(name="Recorded")
    issued = issue(permissions=["customers:read"])
    before = timezone.now()

    response = Caller(issued, REMOTE_ADDR="198.51.100.7", HTTP_USER_AGENT="probe/1.0").get(
        f"customers/{customer.pk}"
    )

    record = record_of(response, shipper)
    assert before - timedelta(seconds=1) < record.at < timezone.now()
    assert record.pk.version == 7
    assert (record.environment, record.key, record.secret_version) == (
        "production",
        issued.key,
        1,
    )
    assert record.customer_id == customer.pk
    assert record.permission == "customers:read"
    assert (record.method, record.route) == ("GET", "customers/<uuid:customer_id>")
    assert record.path == f"/api/production/v1/customers/{customer.pk}"
    assert (record.status, record.status_class, record.code) == (200, 2, "")
    assert 0 < record.duration < 10_000_000
    assert (record.request_bytes, record.response_bytes) == (0, len(response.content))
    assert (record.address, record.user_agent) == ("198.51.100.7", "probe/1.0")
    sent = json.loads(record.content.request_headers)
    assert sent["Authorization"] == f"Bearer lk_prod_{issued.key.pk}_***"
    assert json.loads(record.content.response_headers)["RateLimit"] == response["RateLimit"]
    assert json.loads(record.content.response_body)["name"] == "Recorded"


def test_every_outcome_is_recorded_with_its_code(shipper: Shipper) -> None:
    issued = issue(permissions=["customers:read", "customers:write"])
    revoked, expired, blocked = issue(), issue(), issue(limit_minute=0)
    far = issue(networks=["203.0.113.0/24"])
    lifecycle.revoke(revoked.key, actor=ACTOR)
    expire(expired.key)
    caller = Caller(issued)

    answers = {
        "malformed_body": caller.post("customers", b"{"),
        "validation_failed": caller.post("customers", {"nme": 1}),
        "multiple_credentials": Caller(issued, HTTP_X_API_KEY="x").get("key"),
        "key_missing": Caller().get("key"),
        "key_invalid": Caller("lk_prod_x").get("key"),
        "key_revoked": Caller(revoked).get("key"),
        "key_expired": Caller(expired).get("key"),
        "environment_mismatch": Caller(issued, environment=Environment.STAGING).get("key"),
        "permission_denied": Caller(issue()).get("customers"),
        "address_not_allowed": Caller(far).get("key"),
        "not_found": caller.get("nothing/at/all"),
        "method_not_allowed": caller.call("PUT", "customers", {}),
        "not_acceptable": caller.get("customers", HTTP_ACCEPT="text/html"),
        "body_too_large": caller.post("customers", b" " * (settings.MAX_BODY_BYTES + 1)),
        "unsupported_media_type": caller.call(
            "POST", "customers", b"<a/>", content_type="text/xml"
        ),
        "rate_limited": Caller(blocked).get("key"),
    }

    for code, response in answers.items():
        record = record_of(response, shipper)
        assert (record.code, record.status) == (code, response.status_code), code
    assert record_of(answers["key_revoked"], shipper).key == revoked.key
    assert record_of(answers["key_invalid"], shipper).key is None
    assert record_of(answers["environment_mismatch"], shipper).environment == "staging"


def test_what_no_view_answers_is_recorded_too(shipper: Shipper) -> None:
    unknown = Client().get("/api/nowhere")
    schema = Client().get("/api/schema")
    page = Client().get("/healthz")

    assert record_of(unknown, shipper).code == "not_found"
    assert record_of(schema, shipper).environment is None
    shipper.ship()
    assert not RequestLog.objects.filter(pk=page["X-Request-ID"]).exists()


def test_bodies_are_kept_redacted_and_cut(shipper: Shipper, settings: Any) -> None:
    settings.LOG_BODY_LIMIT = 200
    caller = Caller(issue(permissions=["customers:write"]))
    body = {"name": "N", "metadata": {"password": "hunter2", "note": "é" * 300}}

    record = record_of(caller.post("customers", body), shipper)

    assert "hunter2" not in record.content.request_body + record.content.response_body
    assert len(record.content.request_body.encode()) <= 200
    assert record.content.is_request_cut
    assert record.content.is_response_cut
    assert record.request_bytes == len(json.dumps(body))


@pytest.mark.parametrize(
    ("kept_bodies", "kept"),
    [("all", (True, True)), ("errors", (False, True)), ("none", (False,) * 2)],
)
def test_bodies_are_kept_as_the_setting_says(
    shipper: Shipper, settings: Any, kept_bodies: str, kept: tuple[bool, ...]
) -> None:
    settings.LOG_BODIES = kept_bodies
    caller = Caller(issue(permissions=["customers:write"]))

    good, bad = caller.post("customers", {"name": "N"}), caller.post("customers", {"nme": "N"})

    bodies = [record_of(response, shipper).content for response in (good, bad)]
    assert tuple(bool(content.request_body) for content in bodies) == kept
    assert tuple(bool(content.response_body) for content in bodies) == kept


def test_last_use_is_exact_and_only_of_a_key_that_was_accepted(shipper: Shipper) -> None:
    used, revoked = issue(permissions=["customers:read", "logs:read"]), issue()
    lifecycle.revoke(revoked.key, actor=ACTOR)

    Caller(used, REMOTE_ADDR="198.51.100.1").get("key")
    last = Caller(used, REMOTE_ADDR="2001:db8::7", HTTP_USER_AGENT="last/2").get("customers")
    Caller(revoked).get("key")
    record = record_of(last, shipper)

    key = ApiKey.objects.get(pk=used.key.pk)
    assert (key.last_used_at, key.last_used_address) == (record.at, "2001:db8::7")
    assert key.last_used_agent == "last/2"
    assert ApiKey.objects.get(pk=revoked.key.pk).last_used_at is None
    uses = PermissionUse.objects.filter(key=used.key).values_list("permission", flat=True)
    assert list(uses) == ["customers:read"]


def test_a_key_that_is_refused_is_not_used_whatever_the_status(
    shipper: Shipper, settings: Any, monkeypatch: Any, is_postgresql: bool
) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(1, 60)
    revoked, expired, confined = issue(), issue(), issue(networks=["203.0.113.0/24"])
    lifecycle.revoke(revoked.key, actor=ACTOR)
    expire(expired.key)
    callers = [Caller(each, REMOTE_ADDR="198.51.100.9") for each in (revoked, expired)]
    answers = [caller.get("key") for caller in callers * 2]
    answers.append(Caller(confined).get("key"))
    # As after a failure: without a connection, and with an open circuit breaker.
    store: Any = counters()
    monkeypatch.setattr(store, "_connection", None, raising=False)
    breaking = store._commands.primaries()[0] if is_postgresql else store
    monkeypatch.setattr(breaking._breaker, "_ends_at", monotonic() + 60)
    answers.append(Caller(revoked).get("key"))

    shipper.ship()

    codes = [answer.json()["code"] for answer in answers]
    assert codes == [
        "key_revoked", "too_many_failures", "too_many_failures", "too_many_failures",
        "address_not_allowed", "unavailable",
    ]  # fmt: skip
    for issued in (revoked, expired, confined):
        assert ApiKey.objects.get(pk=issued.key.pk).last_used_at is None


def test_too_many_failures_are_refusals_and_not_the_limits_of_a_key(
    shipper: Shipper, settings: Any
) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(1, 60)
    revoked = issue()
    lifecycle.revoke(revoked.key, actor=ACTOR)
    caller = Caller(revoked)
    for _ in range(3):
        caller.get("key")

    shipper.ship()

    row = HourlyUsage.objects.get(key_id=revoked.key.pk)
    assert (row.requests, row.refused, row.limited) == (3, 3, 0)
    totals = key_usage(revoked.key)["total"]
    assert (totals["refused"], totals["limited"]) == (3, 0)


def test_usage_is_added_up_by_hour_and_outcome(shipper: Shipper) -> None:
    issued = issue(limit_minute=3)
    caller = Caller(issued)
    for path in ("key", "key", "customers", "key"):
        caller.get(path)

    shipper.ship()

    rows = HourlyUsage.objects.filter(key_id=issued.key.pk)
    totals = [
        sum(getattr(row, name) for row in rows)
        for name in ("requests", "succeeded", "refused", "limited", "failed")
    ]
    assert totals == [4, 2, 1, 1, 0]


def test_a_record_is_shipped_once_however_often_it_is_read(shipper: Shipper) -> None:
    issued = issue()
    response = Caller(issued).get("key")
    written = b"".join(path.read_bytes() for path in files(settings.LOG_SPOOL))
    shipper.ship()
    spool().append(written.rstrip(b"\n"))

    shipper.ship()

    assert RequestLog.objects.filter(pk=response["X-Request-ID"]).count() == 1
    assert sum(row.requests for row in HourlyUsage.objects.filter(key_id=issued.key.pk)) == 1


def test_what_was_shipped_and_pruned_stays_away_when_the_worker_starts_again(
    shipper: Shipper,
) -> None:
    issued = issue()
    for _ in range(3):
        Caller(issued).get("key")
    shipper.ship()
    RequestContent.objects.all().delete()
    RequestLog.objects.all().delete()
    shipper.close()
    Caller(issued).get("key")

    shipped = Shipper(settings.LOG_SPOOL)
    try:
        assert shipped.ship() == 1
    finally:
        shipped.close()

    assert RequestLog.objects.count() == 1
    assert HourlyUsage.objects.get(key_id=issued.key.pk).requests == 4


def test_requests_are_shipped_once_when_the_spool_is_removed_between_them(
    shipper: Shipper,
) -> None:
    issued = issue()
    caller = Caller(issued)
    shipped = caller.get("key")
    shipper.ship()
    waiting = caller.get("key")
    shutil.rmtree(settings.LOG_SPOOL)
    after = caller.get("key")
    usurper = Shipper(settings.LOG_SPOOL)

    shipper.ship()
    spool().check()
    shipper.ship()
    taken = usurper.ship()
    usurper.close()

    found = {str(pk) for pk in RequestLog.objects.values_list("pk", flat=True)}
    assert found == {answer["X-Request-ID"] for answer in (shipped, waiting, after)}
    assert HourlyUsage.objects.get(key_id=issued.key.pk).requests == 3
    assert taken == 0


def test_a_worker_whose_lock_was_removed_leaves_shipping_to_the_one_that_has_it(
    shipper: Shipper, caplog: pytest.LogCaptureFixture
) -> None:
    shipper.ship()
    (settings.LOG_SPOOL / "worker.lock").unlink()
    other = Shipper(settings.LOG_SPOOL)
    other.ship()
    caller = Caller(issue())
    caller.get("key")

    counts = shipper.ship(), other.ship()
    other.close()

    assert counts == (0, 1)
    assert "lock file of the spool was removed" in caplog.text


def test_a_decision_is_stored_and_counted_by_its_service(shipper: Shipper) -> None:
    key, caller = issue().key, issue().key
    about = {"kind": "decision", "host": "orders.example", "key": key.pk, "caller": caller.pk}
    for service in ("orders", "orders", "stock", ""):
        spool().append(record_line(service=service, **about))

    shipper.ship()

    rows = RequestLog.objects.filter(caller=caller).order_by("pk")
    assert list(rows.values_list("kind", "service", "host", "key")) == [
        ("decision", service, "orders.example", key.pk)
        for service in ("orders", "orders", "stock", None)
    ]
    counted = HourlyUsage.objects.filter(key_id=key.pk).values_list("service")
    totals = counted.annotate(total=Sum("requests")).order_by("service")
    assert list(totals) == [("", 1), ("orders", 2), ("stock", 1)]


def test_a_name_that_may_be_no_service_is_on_record_and_not_counted(shipper: Shipper) -> None:
    for code in ("unknown_service", "ambiguous_path", "service_disabled"):
        spool().append(record_line(kind="decision", service=code.replace("_", "-"), code=code))

    shipper.ship()

    assert RequestLog.objects.filter(service__isnull=False).count() == 3
    assert list(HourlyUsage.objects.order_by("service").values_list("service", "requests")) == [
        ("", 2),
        ("service-disabled", 1),
    ]


def test_the_key_that_verifies_another_is_used_and_its_address_stays(shipper: Shipper) -> None:
    presented, caller = issue().key, issue().key
    ApiKey.objects.filter(pk=caller.pk).update(last_used_address="192.0.2.1", last_used_agent="x")
    about = {"kind": "decision", "key": presented.pk, "caller": caller.pk}
    spool().append(record_line(permission="customers:read", **about))

    shipper.ship()

    for row in (presented, caller):
        row.refresh_from_db()
    assert presented.last_used_at is None
    assert caller.last_used_at is not None
    assert (caller.last_used_address, caller.last_used_agent) == ("192.0.2.1", "x")
    assert list(PermissionUse.objects.values_list("key", "permission")) == [
        (caller.pk, "keys:verify")
    ]


@pytest.mark.parametrize("fields", [24, 25])
def test_a_record_that_was_spooled_before_an_upgrade_is_a_request(
    shipper: Shipper, fields: int
) -> None:
    spool().append(orjson.dumps(orjson.loads(record_line())[:fields]))

    shipper.ship()

    row = RequestLog.objects.get(path="/api/production/v1/recorded")
    assert (row.kind, row.service, row.host, row.caller) == ("request", None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "none"},
        {"id": None},
        {"at": "yesterday"},
        {"status": None},
        {"request_bytes": 2**63},
        {"customer": "nobody"},
        {"user_agent": "x" * 401, "address": "nowhere at all", "request_bytes": 2**63},
    ],
)
def test_a_record_that_cannot_be_stored_holds_up_no_other(
    shipper: Shipper, changes: dict[str, Any]
) -> None:
    first = Caller().get("key")
    spool().append(b"no record at all")
    spool().append(record_line(**changes))
    last = Caller().get("key")

    shipper.ship()
    again = shipper.ship()

    stored = {str(pk) for pk in RequestLog.objects.values_list("pk", flat=True)}
    assert {first["X-Request-ID"], last["X-Request-ID"]} <= stored
    assert len(stored) <= 3
    assert again == 0
    set_aside = Path(settings.LOG_SPOOL / "rejected.txt").read_text()
    assert "no record at all" in set_aside


def test_a_header_of_a_stranger_is_cut_and_marked(shipper: Shipper) -> None:
    response = Caller(HTTP_X_LONG="y" * 50_000, HTTP_X_SHORT="kept").get("key")

    kept = json.loads(record_of(response, shipper).content.request_headers)
    assert kept["X-Long"].endswith("… (50,000 characters)")
    assert len(kept["X-Long"]) < 5000
    assert kept["X-Short"] == "kept"


def test_what_is_kept_of_a_stranger_is_bounded(shipper: Shipper) -> None:
    written = backlog(settings.LOG_SPOOL).total_bytes
    many = {f"HTTP_X_{number:03}{'N' * 150}": "é" * 90 for number in range(200)}
    headers = {"HTTP_X_LONG": "y" * 55_000, "HTTP_ACCEPT": "text/a", **many}

    response = Caller("lk_prod_x", HTTP_USER_AGENT="é" * 5000, **headers).call(
        "POST", "é" * 4000 + "?" + "q=é&" * 4000, b'{"a": 1}'
    )

    record = record_of(response, shipper)
    kept = record.content.headers(record.content.request_headers)
    assert (record.method, record.status, record.code) == ("POST", 401, "key_invalid")
    assert record.address.startswith("10.")
    assert record.path.startswith("/api/production/v1/ééé")
    assert kept["X-Long"] == "… (55,000 characters)"
    assert kept["Accept"] == "text/a"
    assert int(kept["…"].split()[0]) + len(kept) - 1 == len(headers) + 2 + 3
    for text in (record.path, record.query, "".join(n + v for n, v in kept.items() if n != "…")):
        assert 500 < len(text.encode()) <= 1024
    assert record.content.request_body == ""
    assert "The key is not known" in record.content.response_body
    assert backlog(settings.LOG_SPOOL).total_bytes - written < 6000


def test_what_a_stranger_sends_takes_no_longer_than_its_record_is_worth(shipper: Shipper) -> None:
    long = {"HTTP_USER_AGENT": "token=x; " * 100_000, "QUERY_STRING": "password=x&" * 100_000}
    caller = Caller("lk_prod_x", **long)
    caller.get("key")
    began = process_time()

    caller.get("key")

    assert process_time() - began < 0.5


def test_what_a_stranger_is_answered_is_kept_only_of_refusals(shipper: Shipper) -> None:
    schema = Client().get("/api/schema")

    record = record_of(schema, shipper)

    assert (record.status, record.content.response_body) == (200, "")
    assert record.response_bytes > 10_000


def test_the_headers_of_a_known_key_are_bounded_with_their_names(shipper: Shipper) -> None:
    many = {f"HTTP_X_{number:04}{'N' * 100}": "" for number in range(1000)}

    response = Caller(issue(), **many).get("key")

    kept = record_of(response, shipper).content.request_headers
    assert len(kept) < 40_000


def test_a_full_spool_refuses_before_anything_happens(shipper: Shipper, monkeypatch: Any) -> None:
    caller = Caller(issue(permissions=["customers:write"]))
    monkeypatch.setattr(spool(), "_max_bytes", 0)
    monkeypatch.setattr(spool(), "_measure_at", 0.0)

    response = caller.post("customers", {"name": "Never made"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response["Retry-After"]
    monkeypatch.undo()
    spool()._measure_at = 0.0
    assert caller.get("customers").status_code == 403


def test_a_request_whose_record_cannot_be_written_is_answered_with_a_503(
    shipper: Shipper, monkeypatch: Any, tmp_path: Path
) -> None:
    issued = issue()
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with monkeypatch.context() as context:
        context.setattr(spool(), "_folder", blocked / "spool")
        context.setattr(spool(), "_rotate_bytes", 0)
        context.setattr(spool(), "_breaker", CircuitBreaker())

        response = Caller(issued).get("key")

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert issued.key.pk not in response.content.decode()


@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_batch_is_recorded_under_its_customer_if_it_is_about_one(
    shipper: Shipper, is_mixed: bool
) -> None:
    first, second = make_customer(), make_customer()
    about = [first, second if is_mixed else first]
    events = [{"customer": str(customer.pk), "type": "x"} for customer in about]

    answer = Caller(issue(permissions=["telemetry:write"])).post("telemetry", {"events": events})

    assert record_of(answer, shipper).customer_id == (None if is_mixed else first.pk)


def test_a_verified_key_was_used_where_the_client_is_and_not_the_server(shipper: Shipper) -> None:
    used, server = issue(), Caller(issue(permissions=["keys:verify"]), HTTP_USER_AGENT="shop/1")
    Caller(used, REMOTE_ADDR="198.51.100.1", HTTP_USER_AGENT="client/1").get("key")

    origins = []
    for client in ({}, {"address": "198.51.100.2"}):
        answer = server.post("keys/verify", {"key": used.credential, **client})
        record = record_of(answer, shipper)
        key = ApiKey.objects.get(pk=used.key.pk)
        origins.append((key.last_used_at == record.at, key.last_used_address, key.last_used_agent))

    assert origins == [(True, "198.51.100.1", "client/1"), (True, "198.51.100.2", "")]
