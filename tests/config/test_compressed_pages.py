"""Which pages of the admin are compressed, and for whom (BREACH)."""

from typing import Any

import brotli
import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from config.admin_site.middleware import COMPRESSED_PAGES
from tests.support.factories import issue, make_staff

pytestmark = pytest.mark.django_db
OWN = {"accept-encoding": "gzip, br", "sec-fetch-site": "same-origin"}


@pytest.fixture
def person() -> Client:
    client = Client()
    client.force_login(make_staff(is_superuser=True))
    return client


def get(person: Client, address: str, **headers: str) -> Any:
    return person.get(address, headers=OWN | {k.replace("_", "-"): v for k, v in headers.items()})


def test_the_overview_and_every_list_are_compressed(person: Client) -> None:
    lists = {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        for model in admin.site._registry
    }

    assert lists | {"admin:index"} == COMPRESSED_PAGES
    for page in COMPRESSED_PAGES:
        response = get(person, reverse(page))
        assert (response.status_code, response["Content-Encoding"]) == (200, "br"), page
        assert int(response["Content-Length"]) == len(response.content)
        assert b"</html>" in brotli.decompress(response.content)


def test_a_search_that_the_person_made_is_compressed(person: Client) -> None:
    address = reverse("admin:apikeys_apikey_changelist")

    assert get(person, f"{address}?q=x").has_header("Content-Encoding")
    assert get(person, f"{address}?q=x", sec_fetch_site="none").has_header("Content-Encoding")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "SAME-ORIGIN, cross-site"])
def test_a_page_that_another_site_opened_is_not(person: Client, site: str) -> None:
    response = get(person, reverse("admin:apikeys_apikey_changelist"), sec_fetch_site=site)

    assert not response.has_header("Content-Encoding")
    assert "Sec-Fetch-Site" in response["Vary"]
    assert b"</html>" in response.content


def test_a_browser_that_does_not_say_who_opened_a_page_gets_it_as_it_is(person: Client) -> None:
    address = reverse("admin:apikeys_apikey_changelist")
    response = person.get(address, headers={"accept-encoding": "br"})

    assert not response.has_header("Content-Encoding")


def test_a_page_that_is_not_named_is_not_compressed(person: Client) -> None:
    key = issue().key
    pages = [
        reverse("admin:apikeys_apikey_change", args=[key.pk]),
        reverse("admin:apikeys_apikey_change", args=[key.pk]) + "?tab=settings",
        reverse("admin:apikeys_apikey_add"),
        reverse("admin:password_change"),
    ]

    for page in pages:
        response = get(person, page)
        assert (response.status_code, response.has_header("Content-Encoding")) == (200, False), page


def test_an_answer_to_a_form_is_not_compressed(person: Client) -> None:
    address = reverse("admin:apikeys_apikey_changelist")
    response = person.post(address, {"action": "", "index": "0"}, headers=OWN)

    assert not response.has_header("Content-Encoding")
