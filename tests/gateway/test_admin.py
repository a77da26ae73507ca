"""Services in the admin, page by page; the browser's part is in ``tests/browser``."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Event
from gateway import lifecycle
from gateway.models import Service
from gateway.rules import parse_rules
from logs.capture.spool import backlog
from logs.models import HourlyUsage
from tests.support.factories import ACTOR, client_of, issue, make_staff

pytestmark = pytest.mark.django_db

LIST = "admin:gateway_service_changelist"
LINES = ["GET,HEAD /v1/orders/** orders:read", "* /** orders:write cost=5"]


def make_service(name: str = "orders", lines: list[str] = LINES, **fields: Any) -> Service:
    return lifecycle.create(name, actor=ACTOR, rules=parse_rules(lines), **fields)


def page_of(service: Service) -> str:
    return reverse("admin:gateway_service_change", args=(service.pk,))


def add(client: Client, **fields: Any) -> Any:
    sent = {"name": "orders", "description": "", "is_enabled": "on", "rules": ""}
    return client.post(reverse("admin:gateway_service_add"), sent | fields)


def change(client: Client, service: Service, **changes: Any) -> Any:
    form = client.get(page_of(service)).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields}
    return client.post(page_of(service), sent | changes)


def dialog(client: Client, action: str, service: Service, **changes: Any) -> Any:
    path = reverse(f"admin:gateway_service_{action}", args=(service.pk,))
    shown = client.get(path)
    if shown.status_code != 200:
        return shown
    form = shown.context["form"]
    sent = {name: form[name].value() for name in form.fields}
    return client.post(path, sent | changes)


def test_a_service_is_made_with_the_default_rules_or_with_those_given(staff: Client) -> None:
    add(staff)
    add(staff, name="stock", description="Ours", is_enabled="", rules="\r\n".join(["", *LINES]))

    orders, stock = Service.objects.all()
    assert [line.needs for line in orders.rule_lines] == ["orders:read", "orders:write"]
    assert [str(line) for line in stock.rule_lines] == LINES
    assert (orders.is_enabled, stock.is_enabled, stock.description) == (True, False, "Ours")
    event = Event.objects.get(object_type="gateway.service", object_id="stock")
    assert (event.source, event.address) == ("admin", "127.0.0.1")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Orders"}, "not a name for a service. Use a-z, 0-9 and -"),
        ({"name": "taken"}, "a service &#x27;taken&#x27; already. Use another name"),
        ({"rules": "GET /a any-key\n\nGET  /b"}, "Rule 2: The rule &#x27;GET /b&#x27; has not"),
        ({"rules": "GET\t/a\tnothing"}, "Rule 1: &#x27;nothing&#x27; is not what a rule can need"),
    ],
)
def test_a_refusal_says_why_and_keeps_what_was_typed(
    staff: Client, fields: dict[str, str], message: str
) -> None:
    make_service("taken")
    typed = {"description": "Kept", "rules": "GET /a any-key"} | fields

    refused = add(staff, **typed)

    assert message in refused.text
    form = refused.context["adminform"].form
    assert {name: form[name].value() for name in typed} == typed
    assert Service.objects.count() == 1


def test_description_and_rules_are_changed_and_the_name_stays(staff: Client) -> None:
    service = make_service()

    change(staff, service, name="other", description="Ours", rules="* /** any-key")

    service = Service.objects.get()
    assert (service.name, service.description, service.revision) == ("orders", "Ours", 2)
    assert [str(line) for line in service.rule_lines] == ["* /** any-key"]


def test_a_page_that_somebody_was_faster_with_is_refused_and_kept(staff: Client) -> None:
    service = make_service()
    lifecycle.update(service, actor=ACTOR, fields={"description": "Theirs"})

    refused = change(staff, service, revision="1", description="Mine", rules="* /** any-key")

    assert "changed after this page was opened. Reload it and try again." in refused.text
    assert refused.context["adminform"].form["rules"].value() == "* /** any-key"
    assert Service.objects.get().description == "Theirs"


def test_the_list_counts_rules_and_is_searched_and_filtered(staff: Client) -> None:
    make_service(description="Baskets")
    make_service("stock", ["* /** stock:write"], is_enabled=False)
    make_service("empty", [])

    def listed(**query: str) -> dict[str, int]:
        rows = staff.get(reverse(LIST), query).context["cl"].result_list
        return {row.name: row.number_of_rules for row in rows}

    assert listed() == {"empty": 0, "orders": 2, "stock": 1}
    assert listed(q="basket") == {"orders": 2}
    assert listed(status="disabled") == {"stock": 1}
    assert listed(needs="orders:write") == {"orders": 2}
    assert listed(needs="nobody:knows") == {}


def test_a_service_is_disabled_enabled_and_deleted_by_dialogs(staff: Client) -> None:
    service = make_service()

    dialog(staff, "disable", service)
    assert not Service.objects.get().is_enabled
    dialog(staff, "enable", service)
    assert Service.objects.get().is_enabled
    gone = dialog(staff, "remove", service)

    assert not Service.objects.exists()
    assert gone["HX-Redirect"] == reverse(LIST)
    actions = (
        Event.objects.filter(object_type="gateway.service")
        .order_by("id")
        .values_list("action", flat=True)
    )
    assert list(actions) == ["created", "disabled", "enabled", "deleted"]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_dialog_is_offered_only_where_it_changes_something(
    staff: Client, is_enabled: bool
) -> None:
    service = make_service(is_enabled=is_enabled)

    page = staff.get(page_of(service)).text

    offered = {
        name for name in ("enable", "disable", "remove")
        if reverse(f"admin:gateway_service_{name}", args=(service.pk,)) in page
    }  # fmt: skip
    assert offered == {"disable" if is_enabled else "enable", "remove"}


def test_a_service_that_changed_since_is_not_enabled(staff: Client) -> None:
    service = make_service(is_enabled=False)
    lifecycle.update(service, actor=ACTOR, fields={}, rules=parse_rules(["* /** public"]))

    refused = dialog(staff, "enable", service, revision="1")

    assert "changed after this page was opened" in refused.text
    assert not Service.objects.get().is_enabled


def test_the_page_shows_the_history_with_rules_line_by_line(staff: Client) -> None:
    service = make_service()
    lifecycle.update(
        service, actor=ACTOR, fields={}, rules=parse_rules(["* /a public", "* /b public"])
    )

    page = staff.get(page_of(service)).text

    assert "<del>" + "\n".join(LINES) + "</del>" in page
    assert "<ins>* /a public\n* /b public</ins>" in page
    assert "<ins>" + "\n".join(LINES) + "</ins>" in page


def test_the_history_says_enabled_and_disabled_without_the_column(staff: Client) -> None:
    service = make_service()
    lifecycle.update(service, actor=ACTOR, fields={"is_enabled": False})

    page = staff.get(page_of(service)).text

    assert "<strong>Disabled</strong>" in page
    assert "is_enabled" not in page


def test_a_save_stays_on_the_page(staff: Client) -> None:
    made = add(staff)
    page = page_of(Service.objects.get())
    changed = change(staff, Service.objects.get(), description="Ours")

    assert (made["Location"], changed["Location"]) == (page, page)


def test_a_rule_that_keys_with_the_default_limits_never_pass_is_told(
    staff: Client, settings: Any
) -> None:
    settings.DEFAULT_LIMITS = settings.DEFAULT_LIMITS | {"staging": (50, 40, 60)}
    service = make_service()

    def told(rules: str) -> list[str]:
        change(staff, Service.objects.get(), rules=rules)
        texts = staff.get(page_of(service)).context["messages"]
        return [str(text) for text in texts if text.level_tag == "warning"]

    assert told("* /** any-key cost=40") == []
    (one,) = told("GET /a any-key\n* /** any-key cost=41")
    assert one == (
        "Keys with the default limit of staging, 40 per hour, never pass rule 2, which costs more."
        " Lower the cost, or give the keys for it higher limits."
    )
    (several,) = told("\n".join(f"GET /{n} any-key cost=41" for n in range(7)))
    assert "never pass rules 1, 2, 3, 4, 5 and 2 more, which cost more." in several
    settings.API_ENVIRONMENTS = ("production",)
    assert told("* /** any-key cost=600") == []


def preview(client: Client, service: Service, **fields: str) -> Any:
    path = reverse("admin:gateway_service_preview", args=(service.pk,))
    sent = {"environment": "production", "method": "GET", "path": "/v1/orders/7?page=2"}
    return client.post(path, sent | fields)


def shown(answer: Any) -> tuple[int, str, int | None]:
    result = answer.context["result"]
    return result["preview"].status, result["preview"].code, result["number"]


def test_a_request_is_tested_against_the_rules(staff: Client) -> None:
    service = make_service(lines=[*LINES[:1], "GET /health public", "POST /v1/** orders:write"])
    key = issue(permissions=["orders:read"], networks=["192.0.2.0/24"], name="Shop").key

    assert shown(preview(staff, service, key=key.pk)) == (200, "", 1)
    assert shown(preview(staff, service, key="shop", address="192.0.2.1")) == (200, "", 1)
    assert shown(preview(staff, service, path="/health")) == (200, "", 2)
    assert shown(preview(staff, service)) == (401, "key_missing", 1)
    refused = preview(staff, service, key="shop", method="POST")
    assert shown(refused) == (403, "permission_denied", 3)
    assert "Rule 3 matches: <code>POST /v1/** orders:write</code>" in refused.text
    for fields, status, code in (
        ({"address": "203.0.113.7"}, 403, "address_not_allowed"),
        ({"environment": "staging"}, 401, "environment_mismatch"),
        ({"path": "/elsewhere"}, 403, "no_rule"),
        ({"path": "/v1/../admin"}, 400, "ambiguous_path"),
    ):
        assert shown(preview(staff, service, key=key.pk, **fields))[:2] == (status, code)


def test_a_test_counts_nothing_and_logs_nothing(staff: Client) -> None:
    service = make_service()
    key = issue(permissions=["orders:read"], limit_minute=1).key
    written = backlog(settings.LOG_SPOOL).total_bytes

    answers = [shown(preview(staff, service, key=key.pk)) for _ in range(3)]

    assert answers == [(200, "", 1)] * 3
    assert backlog(settings.LOG_SPOOL).total_bytes == written


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("key", "nobody", "There is no key &#x27;nobody&#x27;"),
        ("key", "Twice", "Several keys have this name. Write a key id"),
        ("environment", "mars", "Select a valid choice"),
        ("address", "here", "Enter a valid IPv4 or IPv6 address"),
        ("path", "", "This field is required"),
    ],
)
def test_a_test_that_cannot_be_made_says_why(
    staff: Client, field: str, text: str, message: str
) -> None:
    issue(name="Twice")
    issue(name="twice")

    answer = preview(staff, make_service(), **{field: text})

    assert message in answer.text
    assert answer.context["result"] is None


def test_a_key_is_found_by_its_id_then_by_its_name_in_the_environment(staff: Client) -> None:
    service, other = make_service(), issue(name="Shop", environment="staging").key
    key = issue(name="Shop").key
    issue(name=key.pk)

    def found(**fields: str) -> Any:
        return preview(staff, service, **fields).context["result"]["key"]

    assert found(key="shop") == found(key=key.pk) == key
    assert found(key="SHOP", environment="staging") == other


def test_a_whole_key_is_not_looked_up_and_not_shown_again(staff: Client) -> None:
    credential = issue().credential

    answer = preview(staff, make_service(), key=credential)

    assert "This was a whole key." in answer.text
    assert credential not in answer.text


def test_a_test_takes_the_permissions_to_see_services_and_keys() -> None:
    client, person, service = Client(), make_staff(), make_service()
    client.force_login(person)
    answers = [preview(client, service).status_code]
    for codename in ("view_service", "view_apikey"):
        person.user_permissions.add(Permission.objects.get(codename=codename))
        answers.append(preview(client, service).status_code)

    assert answers == [403, 403, 200]


def test_configurations_of_proxies_are_filled_in(staff: Client, settings: Any) -> None:
    service = make_service()
    settings.TRUSTED_PROXIES = ()
    panel = reverse("admin:gateway_service_proxies", args=(service.pk,))

    sent = {"environment": "staging", "application": "10.0.0.7:80"}

    page = staff.get(page_of(service), {"latchkey": "elsewhere:443"}).text
    other = staff.get(panel, sent | {"latchkey": "latchkey.internal:8443"})
    refused = staff.get(panel, sent | {"latchkey": "http://latchkey"})

    assert "TRUSTED_PROXIES is empty" in page
    assert {"nginx", "Traefik", "Caddy", "Envoy", "HAProxy", "Apache"} <= set(
        re.findall(r"<summary>(.*?)</summary>", page)
    )
    assert "testserver:80/auth/production/orders" in page
    assert "latchkey.internal:8443/auth/staging/orders" in other.text
    assert "/auth/production/" not in other.text
    assert "elsewhere" not in page
    assert "proxy_pass http://10.0.0.7:80;" in other.text
    assert "docs/gateway.md" in page
    assert "&#x27;http://latchkey&#x27; is not an address." in refused.text
    assert "<summary>" not in refused.text


def test_configurations_take_the_permission_to_see_services() -> None:
    client, service = Client(), make_service()
    client.force_login(make_staff())

    answer = client.get(reverse("admin:gateway_service_proxies", args=(service.pk,)))

    assert answer.status_code == 403


def test_the_list_and_the_page_show_the_requests_of_a_service(staff: Client) -> None:
    service, key = make_service(), issue(name="Busy").key
    for hours, requests in ((0, 4), (24, 30)):
        HourlyUsage.objects.create(
            service="orders", key_id=key.pk, environment="production", requests=requests,
            hour=timezone.now().replace(minute=0, second=0, microsecond=0)
            - timedelta(hours=hours),
        )  # fmt: skip

    listed = staff.get(reverse(LIST)).text
    page = staff.get(page_of(service)).text

    link = reverse("admin:logs_requestlog_changelist") + "?service=orders"
    assert f'<a class="latchkey-link" href="{link}">4</a>' in listed
    assert link in page
    assert "Busy" in page


def test_requests_are_counted_for_those_who_may_see_the_log() -> None:
    client, person, service = Client(), make_staff(), make_service()
    client.force_login(person)
    person.user_permissions.add(Permission.objects.get(codename="view_service"))

    texts = client.get(reverse(LIST)).text + client.get(page_of(service)).text

    assert "Requests today" not in texts
    assert "logs/requestlog" not in texts


@pytest.mark.parametrize("role", ["Key operator", "Auditor"])
def test_others_look_at_services_and_change_nothing(role: str) -> None:
    client, service = client_of(role), make_service()

    page = client.get(page_of(service))
    answers = [
        add(client, name="mine"),
        client.post(page_of(service), {"description": "Mine", "rules": "", "revision": "1"}),
        *(dialog(client, action, service) for action in ("enable", "disable", "remove")),
    ]

    assert "<li><code>GET,HEAD /v1/orders/** orders:read</code></li>" in page.text
    assert "<textarea" not in page.text
    assert {answer.status_code for answer in answers} == {403}
    assert [(row.name, row.revision) for row in Service.objects.all()] == [("orders", 1)]


def test_nobody_sees_services_without_the_permission() -> None:
    client, service = Client(), make_service()
    client.force_login(make_staff())

    assert client.get(page_of(service)).status_code == 403
    assert "gateway/service" not in client.get(reverse("admin:index")).text


@pytest.mark.parametrize("action", ["delete", "history"])
def test_a_service_is_deleted_by_the_dialog_alone(staff: Client, action: str) -> None:
    service = make_service()

    staff.post(reverse(f"admin:gateway_service_{action}", args=(service.pk,)), {"post": "yes"})
    staff.post(
        reverse(LIST),
        {"action": "delete_selected", "_selected_action": str(service.pk), "post": "yes"},
    )

    assert Service.objects.exists()
