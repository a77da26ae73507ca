"""Keys in the admin, page by page; the browser's part is in ``tests/browser``."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.template import TemplateDoesNotExist, engines
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.admin.key_dialogs import RegenerateDialog, RevokeDialog
from apikeys.admin.key_forms import CreateKeyForm
from apikeys.environments import Environment
from apikeys.models import ApiKey
from apikeys.validation import KeyFields
from audit.models import Event
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, client_of, issue, make_customer, make_staff

pytestmark = pytest.mark.django_db

CREDENTIAL = re.compile(r"lk_(?:prod|stag|dev)_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")
LIST = "admin:apikeys_apikey_changelist"


def fields_of(page: Any) -> dict[str, Any]:
    """Return what the page's form would send as it stands: the fields that the page renders."""
    form = page.context["adminform"].form
    rendered = [bound for bound in form if f'name="{bound.html_name}' in page.text]
    values = {bound.html_name: bound.value() for bound in rendered}
    return {name: value for name, value in values.items() if value not in (None, "", [], ())}


def create(client: Client, **changes: Any) -> Any:
    page = client.get(reverse("admin:apikeys_apikey_add"))
    return client.post(page.request["PATH_INFO"], fields_of(page) | {"name": "New"} | changes)


def settings_of(key: ApiKey) -> str:
    return reverse("admin:apikeys_apikey_change", args=(key.pk,)) + "?tab=settings"


def change(client: Client, key: ApiKey, **changes: Any) -> Any:
    path = settings_of(key)
    return client.post(path, fields_of(client.get(path)) | changes)


def dialog(client: Client, action: str, key: ApiKey, **changes: Any) -> Any:
    path = reverse(f"admin:apikeys_apikey_{action}", args=(key.pk,))
    page = client.get(path)
    if page.status_code != 200:
        return page
    form = page.context["form"]
    values = {bound.html_name: bound.value() for bound in form if bound.value() is not None}
    return client.post(path, values | changes)


def test_creating_shows_the_key_once_and_it_works(staff: Client) -> None:
    customer = make_customer(environment=Environment.STAGING)
    response = create(
        staff, name="Main Website Integration", environment="staging",
        permissions=["customers:read"], limit_minute=9, customer_scope="selected",
        customers=[customer.pk], networks="10.0.0.0/8\n2001:db8::/32", expiry="90",
    )  # fmt: skip

    shown = CREDENTIAL.findall(response.content.decode())
    key = ApiKey.objects.get()
    assert len(set(shown)) == 1
    assert "no-store" in response["Cache-Control"]
    assert Caller(shown[0], environment="staging").get("key").status_code == 200
    assert (key.name, key.permissions, key.limit_minute) == (
        "Main Website Integration", ("customers:read",), 9,
    )  # fmt: skip
    assert [row.customer_id for row in key.scope.all()] == [customer.pk]
    assert key.networks == ("10.0.0.0/8", "2001:db8::/32")
    assert key.expires_at is not None
    assert Event.objects.about(key).get().source == "admin"
    assert key.created_by == User.objects.get()


def test_the_form_sent_again_neither_shows_the_key_nor_makes_another(staff: Client) -> None:
    page = staff.get(reverse("admin:apikeys_apikey_add"))
    body = fields_of(page) | {"name": "Once"}

    first, second = (staff.post(page.request["PATH_INFO"], body) for _ in range(2))

    assert CREDENTIAL.search(first.content.decode())
    assert not CREDENTIAL.search(second.content.decode())
    assert "created already" in second.content.decode()
    assert ApiKey.objects.count() == 1


def test_a_form_whose_ticket_was_changed_makes_nothing(staff: Client) -> None:
    response = create(staff, ticket="A1b2C3d4E5f6:forged")

    assert "Open a new one" in response.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "required"),
        ({"name": "two\nlines"}, "line break"),
        ({"limit_minute": "-1"}, "greater than or equal to 0"),
        ({"limit_minute": "1_000"}, "Enter a whole number"),
        ({"limit_minute": "\u0663"}, "Enter a whole number"),
        ({"name": "Pay\u202eroll"}, "U+202E, which cannot be seen"),
        ({"name": "\u200b"}, "U+200B, which cannot be seen"),
        ({"limit_minute": "2000000001"}, "1,000,000,000"),
        ({"networks": "10.0.0.1/8"}, "10.0.0.1/8 is not a network"),
        ({"expiry": "custom"}, "Choose the date"),
        ({"expiry": "custom", "expires_on": "2020-01-01T00:00"}, "has passed"),
        ({"permissions": ["customers:delete"]}, "not one of the available choices"),
        ({"environment": "moon"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field_and_nothing_typed_is_lost(
    staff: Client, changes: dict[str, Any], says: str
) -> None:
    response = create(staff, **({"name": "Kept name", "limit_hour": "77"} | changes))

    text = response.content.decode()
    assert says in text
    assert 'value="77"' in text
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("page", ["create", "change"])
def test_customers_of_another_environment_are_refused_by_name(staff: Client, page: str) -> None:
    stranger = make_customer(environment=Environment.STAGING, name="Northwind")
    chosen = {"customer_scope": "selected", "customers": [stranger.pk]}

    if page == "create":
        response = create(staff, environment="production", **chosen)
    else:
        key = issue().key
        response = change(staff, key, **chosen)
        assert not key.scope.exists()

    says = "Northwind is a customer of Staging. Choose customers of Production."
    assert says in response.content.decode()


def test_the_customer_search_offers_the_chosen_environments_only(staff: Client) -> None:
    for environment in Environment:
        make_customer(environment=environment, name=f"Acme {environment}")

    found = staff.get(
        reverse("admin:autocomplete"),
        {"term": "Acme", "app_label": "apikeys", "model_name": "apikey",
         "field_name": "customers", "environment": "staging"},
    ).json()  # fmt: skip

    assert [row["text"] for row in found["results"]] == ["Acme staging"]


def test_the_change_page_asks_for_customers_of_the_keys_environment(staff: Client) -> None:
    for environment in Environment:
        make_customer(environment=environment, name=f"Acme {environment}")
    key = issue(environment=Environment.STAGING).key

    page = staff.get(settings_of(key)).text
    address = re.search(r'data-ajax--url="([^"]+)"', page)
    assert address is not None
    names = "app_label=apikeys&model_name=apikey&field_name=customers"
    found = staff.get(f"{unescape(address[1])}&term=Acme&{names}").json()

    assert [row["text"] for row in found["results"]] == ["Acme staging"]


def test_a_key_is_the_word_for_its_environment_whatever_else_is_asked(staff: Client) -> None:
    for environment in Environment:
        make_customer(environment=environment, name=f"Acme {environment}")
    key = issue(environment=Environment.STAGING).key

    def offered(**asked: str) -> list[str]:
        answer = staff.get(
            reverse("admin:autocomplete"),
            {"term": "Acme", "app_label": "apikeys", "model_name": "apikey",
             "field_name": "customers", **asked},
        )  # fmt: skip
        return [row["text"] for row in answer.json()["results"]]

    assert offered(key=key.pk) == ["Acme staging"]
    assert offered(key=key.pk, environment="production") == ["Acme staging"]
    assert offered(key="nonesuch") == []
    assert offered(environment="moon") == []


def test_changing_a_key_keeps_its_environment_and_secret(staff: Client) -> None:
    issued = issue(permissions=["customers:read"], limit_minute=5)

    response = change(staff, issued.key, name="Renamed", environment="staging", limit_minute="")

    issued.key.refresh_from_db()
    assert response.status_code == 302
    assert (issued.key.name, issued.key.environment) == ("Renamed", "production")
    assert issued.key.limit_minute is None
    assert issued.key.permissions == ("customers:read",)
    assert Caller(issued).get("key").status_code == 200


def test_a_form_opened_before_somebody_elses_change_is_refused(staff: Client) -> None:
    key = issue(permissions=["customers:read"]).key
    path = settings_of(key)
    body = fields_of(staff.get(path))
    lifecycle.update(key, actor=ACTOR, permissions=[])

    response = staff.post(path, body | {"name": "Stale"})

    key.refresh_from_db()
    assert "The key was changed by a test" in response.content.decode()
    assert key.permissions == ()


def test_regenerating_shows_the_new_key_in_the_dialog_alone(staff: Client) -> None:
    issued = issue()

    response = dialog(staff, "regenerate", issued.key)

    shown = set(CREDENTIAL.findall(response.content.decode()))
    assert len(shown) == 1
    assert "no-store" in response["Cache-Control"]
    assert response["HX-Retarget"] == "#dialog"
    assert Caller(shown.pop()).get("key").status_code == 200
    assert Caller(issued).get("key").status_code == 401


def test_a_regenerate_dialog_sent_again_makes_no_other_secret(staff: Client) -> None:
    key = issue().key
    path = reverse("admin:apikeys_apikey_regenerate", args=(key.pk,))
    body = {"_form_submitted": "1", "version": 1, "overlap": 0}

    first, second = (staff.post(path, body) for _ in range(2))

    assert CREDENTIAL.search(first.content.decode())
    assert not CREDENTIAL.search(second.content.decode())
    assert "regenerated a moment ago" in second.content.decode()
    assert key.secrets.count() == 2


def test_the_new_key_of_a_revoked_one_is_shown_without_a_command_to_try_it(staff: Client) -> None:
    key = issue().key
    lifecycle.revoke(key, actor=ACTOR)

    text = dialog(staff, "regenerate", key).content.decode()

    assert len(CREDENTIAL.findall(text)) == 1
    assert "curl" not in text
    assert "The key is inactive" in text


def test_a_form_that_is_checked_has_changed_nothing(staff: Client, rf: RequestFactory) -> None:
    key = issue().key
    page = staff.get(reverse("admin:apikeys_apikey_add"))
    forms = [
        CreateKeyForm(fields_of(page) | {"name": "Checked"}),
        RevokeDialog(rf.post("/"), key.pk, {"_form_submitted": "1"}),
        RegenerateDialog(
            rf.post("/"), key.pk, {"_form_submitted": "1", "version": 1, "overlap": 0}
        ),
    ]

    assert [form.is_valid() for form in forms] == [True, True, True]
    assert ApiKey.objects.get().revision == key.revision
    assert key.secrets.count() == 1


def test_a_key_that_cannot_be_shown_is_neither_made_nor_regenerated(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = issue().key
    engine: Any = engines["django"].engine
    find = engine.find_template

    def find_all_but_one(name: str, **options: Any) -> Any:
        if name == "apikeys/credential.html":
            raise TemplateDoesNotExist(name)
        return find(name, **options)

    monkeypatch.setattr(engine, "find_template", find_all_but_one)
    with pytest.raises(TemplateDoesNotExist):
        create(staff)
    with pytest.raises(TemplateDoesNotExist):
        dialog(staff, "regenerate", key)

    assert ApiKey.objects.get() == key
    assert key.secrets.count() == 1


def test_revoking_takes_a_reason_and_activating_undoes_it(staff: Client) -> None:
    issued = issue()

    dialog(staff, "revoke", issued.key, reason="Laptop lost")
    refused = Caller(issued).get("key").json()["code"]
    dialog(staff, "activate", issued.key)

    assert refused == "key_revoked"
    assert Caller(issued).get("key").status_code == 200
    assert [event.reason for event in Event.objects.about(issued.key)] == ["", "Laptop lost", ""]


def test_a_page_opened_before_a_second_revoke_does_not_undo_it(staff: Client) -> None:
    key = issue().key
    lifecycle.revoke(key, actor=ACTOR)
    path = reverse("admin:apikeys_apikey_activate", args=(key.pk,))
    revision = staff.get(path).context["form"]["revision"].value()
    lifecycle.activate(key, actor=ACTOR)
    lifecycle.revoke(key, actor=ACTOR, reason="Leaked")

    response = staff.post(path, {"_form_submitted": "1", "revision": revision})

    key.refresh_from_db()
    assert key.is_revoked
    assert "The key was changed" in response.content.decode()


def actions() -> list[Any]:
    """Every button of every admin page that calls a function of ours."""
    found = []
    for model_admin in admin.site._registry.values():
        for kind in ("actions_list", "actions_row", "actions_detail", "actions_submit_line"):
            names = model_admin._extract_action_names(getattr(model_admin, kind, ()))
            found += [getattr(model_admin, name) for name in names]
    return found


# What clone opens is a form, and see_sessions a list: nothing is done before that is sent.
LEAD_ELSEWHERE = {"clone", "see_roles", "see_sessions"}


def test_every_button_opens_a_dialog_because_a_bare_one_would_act_on_get() -> None:
    assert actions()
    for button in actions():
        assert getattr(button, "dialog", None) or button.__name__ in LEAD_ELSEWHERE, button


@pytest.mark.parametrize("action", ["regenerate", "revoke", "activate"])
def test_no_act_happens_on_get_or_without_the_csrf_token(action: str) -> None:
    key = issue().key
    if action == "activate":
        lifecycle.revoke(key, actor=ACTOR)
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff("Key administrator"))
    path = reverse(f"admin:apikeys_apikey_{action}", args=(key.pk,))
    events = Event.objects.count()

    opened = client.get(path)
    forged = client.post(path, {"_form_submitted": "1", "version": 1, "overlap": 0, "revision": 1})

    assert (opened.status_code, forged.status_code) == (200, 403)
    assert Event.objects.count() == events


def test_a_clone_begins_with_all_that_the_key_has_and_makes_nothing_yet(staff: Client) -> None:
    customer = make_customer(environment=Environment.STAGING)
    model = issue(
        name="Website", environment=Environment.STAGING, permissions=["jobs:run"],
        customers=[customer.pk], limit_minute=5, limit_day=0, networks=["10.0.0.0/8"],
        tags=["web", "team:a"], owner="Zoe", note="First",
        expires_at=timezone.now() + timedelta(days=9),
    ).key  # fmt: skip

    opened = staff.get(reverse("admin:apikeys_apikey_clone", args=(model.pk,)), follow=True)
    number = ApiKey.objects.count()
    made = staff.post(opened.request["PATH_INFO"], fields_of(opened))

    clone = ApiKey.objects.exclude(pk=model.pk).get()
    same = set(KeyFields.__annotations__) - {"name", "customers", "expires_at"}
    assert number == 1
    assert CREDENTIAL.search(made.text)
    assert clone.name == "Website (copy)"
    assert {name: getattr(clone, name) for name in same} == {
        name: getattr(model, name) for name in same
    }
    assert clone.environment == model.environment
    assert [row.customer_id for row in clone.scope.all()] == [customer.pk]
    assert clone.expires_at == model.expires_at.replace(second=0, microsecond=0)


def test_who_may_not_create_keys_may_not_clone_one() -> None:
    key = issue(name="Website").key
    client = client_of("Key operator")

    page = client.get(reverse("admin:apikeys_apikey_clone", args=(key.pk,)), follow=True)

    assert page.status_code == 403


def test_the_notes_of_a_key_are_changed_and_shown(staff: Client) -> None:
    key = issue(tags=["web"]).key

    refused = change(staff, key, tags="Team A", owner="Zoe")
    change(staff, key, tags="web, team:a", owner="Zoe", note="Asked for by Ada")

    key.refresh_from_db()
    overview = staff.get(reverse("admin:apikeys_apikey_change", args=(key.pk,))).text
    assert "&#x27;A&#x27; is not a tag" in refused.text
    assert (key.tags, key.owner, key.note) == (("team:a", "web"), "Zoe", "Asked for by Ada")
    assert all(word in overview for word in ("?tag=team%3Aa", "Zoe", "Asked for by Ada"))


def test_the_keys_selected_are_named_to_the_form_that_asks_what_to_change(staff: Client) -> None:
    keys = [issue(name=f"Chosen {number}").key for number in range(2)]
    issue(name="Left")

    page = bulk(staff, "change_selected", keys)

    assert page.status_code == 200
    assert "Change 2 keys" in page.text
    assert all(key.name in page.text for key in keys)
    assert "Left" not in page.text


def bulk(client: Client, action: str, keys: list[ApiKey], **extra: Any) -> Any:
    body = {"action": action, "_selected_action": [key.pk for key in keys], **extra}
    return client.post(reverse(LIST), body, follow=True)


def confirm(client: Client, page: Any, **typed: Any) -> Any:
    """Send the page that asks once more, as a browser does."""
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    hidden.pop("csrfmiddlewaretoken", None)
    return client.post(reverse(LIST), hidden | typed, follow=True)


def test_many_keys_are_revoked_after_one_more_question(staff: Client) -> None:
    keys = [issue().key for _ in range(3)]

    asked = bulk(staff, "revoke_selected", keys[:2])
    before = ApiKey.objects.inactive().count()
    done = confirm(staff, asked, reason="Audit")

    assert "Reason" in asked.content.decode()
    assert before == 0
    assert set(ApiKey.objects.inactive()) == set(keys[:2])
    assert "2 keys were revoked" in done.content.decode()
    assert Event.objects.filter(action="revoked", reason="Audit").count() == 2


def test_many_keys_are_activated_but_not_one_revoked_again_meanwhile(staff: Client) -> None:
    first, second = issue().key, issue().key
    for key in (first, second):
        lifecycle.revoke(key, actor=ACTOR)
    asked = bulk(staff, "activate_selected", [first, second])
    lifecycle.activate(second, actor=ACTOR)
    lifecycle.revoke(second, actor=ACTOR, reason="Leaked")

    confirm(staff, asked)

    assert set(ApiKey.objects.active()) == {first}


def test_more_keys_than_a_form_has_fields_are_revoked_at_once(staff: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 50
    keys = ApiKey.objects.bulk_create(
        ApiKey(id=f"Incident{number:04}", environment="staging", name=f"K{number}")
        for number in range(130)
    )

    asked = bulk(staff, "revoke_selected", keys[:1], select_across="1")
    refused = confirm(staff, asked, reason=issue().credential)
    done = confirm(staff, refused, reason="Incident 7")

    assert "and 30 more" in asked.text
    assert refused.text.count("holds an API key") == 1
    assert "130 keys were revoked" in done.text


@pytest.mark.parametrize("seen", ["x", "x:y", ":", "x:\u0661", f"x:{'9' * 5000}"])
def test_a_confirmation_that_was_tampered_with_does_nothing(staff: Client, seen: str) -> None:
    key = issue().key

    response = bulk(staff, "revoke_selected", [key], confirmed="1", seen=f"{seen} {key.pk}:z")

    assert response.status_code == 200
    assert not ApiKey.objects.inactive().exists()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"Prod", "Stag", "Gone"}),
        ("environment__exact=staging", {"Stag"}),
        ("customers__id__exact={customer}", {"Prod"}),
        ("status=inactive", {"Gone"}),
        ("permission=jobs:run", {"Stag"}),
        ("use=never", {"Prod", "Stag"}),
        ("use=never&status=inactive", {"Gone"}),
        ("use=idle-30", set()),
        ("expiry=none", {"Prod", "Stag", "Gone"}),
        ("expiry=7", set()),
        ("q=Prod", {"Prod"}),
        ("tag=web", {"Prod"}),
        ("tag=we", set()),
        ("tag=A+b", set()),
        ("owner=Zoe", {"Prod", "Stag"}),
        ("q=team:b", {"Stag"}),
    ],
)
def test_the_list_is_narrowed_by_what_is_asked(staff: Client, query: str, names: set[str]) -> None:
    customer = make_customer()
    issue(name="Prod", customers=[customer.pk], tags=["web"], owner="Zoe")
    issue(
        name="Stag", environment=Environment.STAGING, permissions=["jobs:run"],
        tags=["website", "team:b"], owner="Zoe",
    )  # fmt: skip
    lifecycle.revoke(issue(name="Gone").key, actor=ACTOR)

    page = staff.get(f"{reverse(LIST)}?{query.format(customer=customer.pk)}")

    assert {key.name for key in page.context["cl"].result_list} == names


def test_the_list_summarises_permissions_and_shows_no_digest(staff: Client) -> None:
    key = issue(permissions=["customers:read", "licenses:manage", "jobs:run", "logs:read"]).key

    text = staff.get(reverse(LIST)).content.decode()

    assert "Customer Read, License Management +2" in text
    assert key.secrets.get().digest not in text


@pytest.mark.parametrize(
    "lookup",
    ["secrets__digest__startswith", "secrets__pepper", "events__reason", "secrets__id__gt"],
)
def test_a_digest_cannot_be_guessed_through_a_filter(staff: Client, lookup: str) -> None:
    issue()

    response = staff.get(f"{reverse(LIST)}?{lookup}=a")

    assert response.status_code in {302, 400}


ROLES = {
    "Key administrator": {"view", "create", "change", "regenerate", "revoke", "activate"},
    "Key operator": {"view", "narrow", "revoke"},
    "Auditor": {"view"},
    None: set(),
}


def what_may(client: Client) -> set[str]:
    """Try everything; return what had an effect."""
    may = set()
    active, revoked = issue(permissions=["jobs:run", "jobs:read"], limit_minute=50), issue()
    lifecycle.revoke(revoked.key, actor=ACTOR)
    path = reverse("admin:apikeys_apikey_change", args=(active.key.pk,))
    if client.get(path).status_code == 200:
        may.add("view")
    if "view" in may:
        change(client, active.key, permissions=["jobs:run"], limit_minute="10", name="Changed")
    else:
        client.post(path, {"permissions": ["jobs:run"], "name": "Changed", "revision": "1"})
    active.key.refresh_from_db()
    if active.key.name == "Changed":
        may.add("change")
    elif active.key.permissions == ("jobs:run",):
        may.add("narrow")
    for action, key in (
        ("regenerate", active.key),
        ("revoke", active.key),
        ("activate", revoked.key),
    ):
        before = Event.objects.about(key).count()
        dialog(client, action, key)
        may |= {action} if Event.objects.about(key).count() > before else set()
    before = ApiKey.objects.count()
    if client.get(reverse("admin:apikeys_apikey_add")).status_code == 200:
        create(client)
    return may | ({"create"} if ApiKey.objects.count() > before else set())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_is_for_and_nothing_else(role: str | None) -> None:
    assert what_may(client_of(role)) == ROLES[role]


def test_an_operator_cannot_widen_by_forging_the_form() -> None:
    client = client_of("Key operator")
    key = issue(permissions=["jobs:run"], limit_minute=50).key

    added = change(client, key, permissions=["jobs:run", "customers:write"])
    raised = change(client, key, limit_minute="51")

    key.refresh_from_db()
    assert "not one of the available choices" in added.content.decode()
    assert "not add or raise" in raised.content.decode()
    assert (key.permissions, key.limit_minute) == (("jobs:run",), 50)


@pytest.mark.parametrize("address", ["?_popup=1&_to_field=secrets", "?name__regex=(a"])
def test_what_the_list_does_not_offer_is_400(staff: Client, address: str) -> None:
    assert staff.get(reverse(LIST) + address).status_code == 400


def test_a_long_search_is_cut_to_what_a_database_takes(staff: Client) -> None:
    issue(name="Needle")

    for name in ("apikeys_apikey", "customers_customer", "customers_license", "audit_event"):
        page = staff.get(reverse(f"admin:{name}_changelist"), {"q": "Needle " * 2000})
        assert page.status_code == 200, name
    assert "Needle" in staff.get(reverse(LIST), {"q": "Needle " * 2000}).text


@pytest.mark.parametrize("customer", ["abc", "a\0"])
def test_a_customer_that_is_no_id_is_refused_beside_the_field(staff: Client, customer: str) -> None:
    response = create(staff, customer_scope="selected", customers=[customer])

    assert response.status_code == 200
    assert "customers" in response.context["adminform"].form.errors


def test_a_credential_typed_into_a_text_is_refused_and_stored_nowhere(staff: Client) -> None:
    issued = issue()

    named = change(staff, issued.key, name=f"old {issued.credential}")
    reasoned = dialog(staff, "revoke", issued.key, reason=f"leaked {issued.credential}")

    for response in (named, reasoned):
        assert "holds an API key" in response.text
    assert not Event.objects.exclude(action="created").exists()


def test_nobody_deletes_a_key_or_touches_the_audit_trail() -> None:
    client = client_of(make_staff(is_superuser=True))
    key = issue().key
    event = Event.objects.about(key).get()

    for address in (
        reverse("admin:apikeys_apikey_delete", args=(key.pk,)),
        reverse("admin:audit_event_delete", args=(event.pk,)),
        reverse("admin:audit_event_add"),
    ):
        assert client.post(address, {"post": "yes"}).status_code == 403
    changed = client.post(reverse("admin:audit_event_change", args=(event.pk,)), {"reason": "x"})
    event.refresh_from_db()
    assert (changed.status_code, event.reason) == (403, "")


def test_the_audit_trail_is_listed_and_found(staff: Client) -> None:
    key = issue(name="Watched").key
    lifecycle.revoke(key, actor=ACTOR, reason="Laptop lost")

    page = staff.get(reverse("admin:audit_event_changelist") + "?q=Watched").content.decode()
    detail = staff.get(
        reverse("admin:audit_event_change", args=(Event.objects.about(key).latest("id").pk,))
    ).content.decode()

    assert "Laptop lost" in page
    assert "inactive" in detail


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("created_at_from_0=2030-01-01", False),
        ("created_at_to_0=2030-01-01", True),
        ("created_at_to_0=2020-01-01", False),
        ("created_at_from_0=2020-01-01&created_at_from_1=00:00:00", True),
        ("created_at_from_0=2026-02-30", False),
        ("created_at_from_0=01/01/2020", False),
    ],
)
def test_the_audit_trail_is_narrowed_by_days(staff: Client, query: str, is_found: bool) -> None:
    issue(name="Watched")

    page = staff.get(f"{reverse('admin:audit_event_changelist')}?{query}").text

    assert ("Watched" in page) == is_found


@pytest.mark.parametrize("role", ["Key administrator", "Key operator", "Auditor"])
def test_every_page_a_role_sees_opens(role: str) -> None:
    client = client_of(role)
    issued = issue(
        permissions=["jobs:run"], networks=["10.0.0.0/8"], customers=[make_customer().pk]
    )

    for address in (
        reverse("admin:index"),
        reverse(LIST),
        reverse("admin:apikeys_apikey_change", args=(issued.key.pk,)),
        reverse("admin:audit_event_changelist"),
        reverse("admin:customers_customer_changelist"),
    ):
        response = client.get(address)
        assert response.status_code == 200
        assert issued.key.secrets.get().digest not in response.content.decode()


def test_no_session_or_message_holds_a_secret(staff: Client) -> None:
    response = create(staff)
    secret = CREDENTIAL.findall(response.content.decode())[0][21:]

    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    assert all(secret not in str(cookie) for cookie in staff.cookies.values())
    assert secret not in staff.get(reverse(LIST)).content.decode()
