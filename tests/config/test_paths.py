"""Addresses of pages that no database could look up: 400 in words, on both databases."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tests.support.factories import make_staff

pytestmark = pytest.mark.django_db

MODELS = [model._meta for model in admin.site._registry]
LISTS = [f"admin:{meta.app_label}_{meta.model_name}_changelist" for meta in MODELS]


@pytest.fixture
def visitor() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_staff(is_superuser=True))
    return client


def test_a_nul_in_an_admin_address_is_400(visitor: Client) -> None:
    parameters = ["q", "p", "o", "e", "id__exact", "name", "%00"]
    for listed in map(reverse, LISTS):
        addresses = [f"{listed}?{parameter}=a%00" for parameter in parameters]
        addresses += [f"{listed}a%00/{page}/" for page in ("change", "history", "delete")]
        for address in addresses:
            answer = visitor.get(address)

            assert answer.status_code == 400, address
            assert "Go back, and try it" in answer.text


@pytest.mark.parametrize("cookie", ["sessionid", "csrftoken", "messages", "theme"])
def test_a_nul_in_a_cookie_is_400(cookie: str) -> None:
    client = Client(raise_request_exception=False)

    answer = client.get(reverse("admin:index"), HTTP_COOKIE=f'{cookie}="abcdefghijklm\\000"')

    assert answer.status_code == 400


def test_a_ticked_row_that_is_no_id_is_left_out(visitor: Client) -> None:
    for model, registered in admin.site._registry.items():
        listed = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        request = visitor.get(listed).wsgi_request
        for action in registered.get_actions(request):
            for ticked in ("a\0", "no id", "9" * 400):
                data = {"action": action, "_selected_action": ticked, "index": "0"}
                answer = visitor.post(listed, data)

                assert answer.status_code in {200, 302, 403}, (listed, action, ticked)
