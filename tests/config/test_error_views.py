"""What people see instead of a page: two sentences, and nothing of what went wrong inside."""

import re
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from apikeys.models import ApiKey
from customers.models import Customer
from tests.support.factories import PASSWORD, issue, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_staff("Auditor"))
    return client


def test_an_address_that_is_none_is_404_in_words(visitor: Client) -> None:
    response = visitor.get("/nowhere")

    assert response.status_code == 404
    assert "There is no page at this address." in response.text
    assert response["X-Request-ID"] in response.text


def test_what_an_account_may_not_do_is_403_in_words(visitor: Client) -> None:
    response = visitor.get(reverse("admin:auth_user_add"))

    assert response.status_code == 403
    assert "Ask an administrator for the permission." in response.text


@pytest.mark.parametrize("address", ["/admin/nowhere/", "/admin/auth/user/add/"])
def test_within_the_admin_the_menu_stays_for_who_has_one(visitor: Client, address: str) -> None:
    response = visitor.get(address)

    assert response.status_code in {403, 404}
    assert 'id="nav-sidebar"' in response.text
    assert response["X-Request-ID"] in response.text
    assert 'id="nav-sidebar"' not in visitor.get("/nowhere").text


@pytest.mark.parametrize("model", ["apikeys_apikey", "logs_requestlog", "customers_customer"])
def test_a_row_that_is_none_is_named(visitor: Client, model: str) -> None:
    response = visitor.get(reverse(f"admin:{model}_change", args=["<nobody>"]))

    assert response.status_code == 404
    assert "with the id &#x27;&lt;nobody&gt;&#x27;. Check the id" in response.text
    assert 'id="nav-sidebar"' in response.text


def test_a_form_without_proof_of_its_origin_is_403_in_words() -> None:
    response = Client(enforce_csrf_checks=True).post(reverse("admin:login"), {"username": "x"})

    assert response.status_code == 403
    assert "Load the page again" in response.text


def test_a_defect_is_500_in_words_with_the_number_to_look_for(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the inside of it")

    monkeypatch.setattr("config.monitoring.health.spool.backlog", fail)

    response = visitor.get("/readyz")

    assert response.status_code == 500
    assert "Tell an operator the number below" in response.text
    assert response["X-Request-ID"] in response.text
    assert "inside" not in response.text


KEPT = re.compile(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', re.DOTALL)


@contextmanager
def others_write() -> Iterator[None]:
    """Hold what a write needs for longer than a page waits, which is a moment here."""
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        database = settings.DATABASES["default"]["NAME"]
        with closing(sqlite3.connect(database)) as other, pytest.MonkeyPatch.context() as patch:
            patch.setattr("config.admin_site.middleware.PAGE_WRITE_SECONDS", 0.2)
            other.isolation_level = None
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        rival = connection.copy()
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        try:
            rival.set_autocommit(False)
            rival.cursor().execute(
                "LOCK TABLE apikeys_apikey, customers_customer IN EXCLUSIVE MODE"
            )
            yield
        finally:
            rival.close()
            # The pool hands the connection to the next test as it is.
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")


@pytest.fixture
def administrator() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_staff("Key administrator"))
    return client


def kept(response: Any) -> dict[str, str]:
    return {unescape(name): unescape(value) for name, value in KEPT.findall(response.text)}


@pytest.mark.django_db(transaction=True)
def test_a_form_that_the_database_cannot_take_is_kept_and_can_be_sent_again(
    administrator: Client,
) -> None:
    path = reverse("admin:customers_customer_add")
    typed = {
        "environment": "production", "name": "<Northwind> & \"Söhne\"", "status": "active",
        "external_reference": "", "metadata": '{\r\n "a": 1}', "csrfmiddlewaretoken": "a token",
    }  # fmt: skip

    with others_write():
        response = administrator.post(path, typed)

    assert response.status_code == 503
    assert "What you typed is kept" in response.text
    assert f'href="{reverse("admin:apikeys_apikey_changelist")}"' in response.text
    assert kept(response) == typed
    assert not Customer.objects.exists()
    assert administrator.post(path, kept(response)).status_code == 302
    assert Customer.objects.get().name == typed["name"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ["revoke", "bulk"])
def test_a_dialog_or_an_act_on_many_that_the_database_cannot_take_is_kept(
    administrator: Client, action: str
) -> None:
    key = issue().key
    path = reverse("admin:apikeys_apikey_changelist")
    typed = {
        "action": "revoke_selected", "confirmed": "1", "select_across": "1",
        "_selected_action": key.pk, "seen": f"{key.pk}:{key.revision}", "reason": "Laptop lost",
    }  # fmt: skip
    if action == "revoke":
        path = reverse("admin:apikeys_apikey_revoke", args=(key.pk,))
        bound = administrator.get(path).context["form"]
        typed = {field.html_name: str(field.value() or "Laptop lost") for field in bound}

    with others_write():
        response = administrator.post(path, typed)

    assert response.status_code == 503
    assert kept(response) == typed
    administrator.post(path, kept(response))
    assert ApiKey.objects.get().is_revoked


@pytest.mark.django_db(transaction=True)
def test_a_secret_is_not_repeated_but_asked_for_again(administrator: Client) -> None:
    credential = issue().credential
    told = {
        "environment": "production", "name": "Northwind ***", "status": "active",
        "metadata": '{ "a":\r\n 1}', "usable_password": "false",
    }  # fmt: skip
    secret = {
        "password": PASSWORD, "external_reference": f"x {credential}",
        "encoded": b64encode(credential.encode()).decode(), "nested": '{"api_token": "hunter2"}',
    }  # fmt: skip

    with others_write():
        response = administrator.post(reverse("admin:customers_customer_add"), told | secret)

    assert response.status_code == 503
    assert kept(response) == told
    assert set(re.findall(r'type="password" name="([^"]+)"', response.text)) == set(secret)
    assert PASSWORD not in response.text
    assert credential[-38:] not in response.text
