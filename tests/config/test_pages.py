"""What people see instead of a page: two sentences, and nothing of what went wrong inside."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_staff

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


def test_a_form_without_proof_of_its_origin_is_403_in_words() -> None:
    response = Client(enforce_csrf_checks=True).post(reverse("admin:login"), {"username": "x"})

    assert response.status_code == 403
    assert "Load the page again" in response.text


def test_a_defect_is_500_in_words_with_the_number_to_look_for(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the inside of it")

    monkeypatch.setattr("config.health.spool.backlog", fail)

    response = visitor.get("/readyz")

    assert response.status_code == 500
    assert "Tell an operator the number below" in response.text
    assert response["X-Request-ID"] in response.text
    assert "inside" not in response.text
