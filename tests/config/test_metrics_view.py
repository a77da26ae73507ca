"""Who may read metrics, and what they say of the whole product."""

from typing import Any

import pytest
from django.test import Client

from database.client_address import Networks, parse_network
from metrics import exposition
from tests.support.factories import issue

pytestmark = pytest.mark.django_db

TOKEN = "a-token-of-the-tests"
FAR, PROXY = "203.0.113.9", "127.0.0.1"


def networks(*named: str) -> Networks:
    return Networks(map(parse_network, named))


def status(**meta: str) -> int:
    return Client().get("/metrics", **meta).status_code


@pytest.fixture(autouse=True)
def new_installation(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "_kept", {})
    settings.METRICS_TOKEN = ""
    settings.TRUSTED_PROXIES = networks()


@pytest.mark.parametrize(
    ("address", "expected"), [(PROXY, 200), ("::1", 200), (FAR, 403), ("10.0.0.1", 403), ("", 403)]
)
def test_without_a_token_only_this_machine_reads_them(address: str, expected: int) -> None:
    assert status(REMOTE_ADDR=address) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {TOKEN}", 200), (f"bearer  {TOKEN}", 200), (f"Bearer {TOKEN}x", 401),
        ("Bearer", 401), ("Bearer ", 401), (f"Basic {TOKEN}", 401), (TOKEN, 401), ("", 401),
        (f"Bearer {TOKEN}, Bearer {TOKEN}", 401), ("Bearer \xe4", 401),
    ],
)  # fmt: skip
def test_the_token_opens_them_from_anywhere(settings: Any, header: str, expected: int) -> None:
    settings.METRICS_TOKEN = TOKEN

    response = Client().get("/metrics", REMOTE_ADDR=FAR, HTTP_AUTHORIZATION=header)

    assert response.status_code == expected
    assert ("WWW-Authenticate" in response) == (expected == 401)
    assert response["Cache-Control"] == "no-store"


def test_no_token_is_no_empty_token() -> None:
    assert status(REMOTE_ADDR=FAR, HTTP_AUTHORIZATION="Bearer ") == 403


def test_networks_that_are_named_replace_loopback(settings: Any) -> None:
    settings.METRICS_NETWORKS = networks("10.0.0.0/8")

    assert status(REMOTE_ADDR="10.1.2.3") == 200
    assert status(REMOTE_ADDR=PROXY) == 403


@pytest.mark.parametrize(
    "header",
    ["X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REAL_IP", "FORWARDED", "VIA"],
)
def test_what_an_unknown_proxy_on_this_machine_passes_on_is_refused(header: str) -> None:
    assert status(REMOTE_ADDR=PROXY, **{f"HTTP_{header}": "127.0.0.1"}) == 403


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (FAR, 403), (f"127.0.0.1, {FAR}", 403), (f"{FAR}, 10.0.0.7", 200), ("10.0.0.7", 200),
        # Said by somebody who is seen elsewhere.
        ("127.0.0.1", 403), (f"{FAR}, 127.0.0.1", 403), ("127.0.0.1, 127.0.0.1", 403),
        ("nonsense", 403), ("", 403),
    ],
)  # fmt: skip
def test_behind_a_trusted_proxy_the_clients_address_counts(
    settings: Any, forwarded: str, expected: int
) -> None:
    settings.TRUSTED_PROXIES = networks("127.0.0.1/32")
    settings.METRICS_NETWORKS = networks("127.0.0.0/8", "10.0.0.0/8")

    assert status(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=forwarded) == expected


def test_a_trusted_proxy_that_names_no_client_is_refused(settings: Any) -> None:
    settings.TRUSTED_PROXIES = networks("127.0.0.1/32")

    assert status(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_HOST="keys.example.com") == 403
    assert status(REMOTE_ADDR=PROXY) == 200


def test_they_are_read_and_not_written_to() -> None:
    assert Client().post("/metrics").status_code == 405
    assert Client().head("/metrics").status_code == 200


def test_no_key_id_customer_or_path_is_a_label() -> None:
    issued = issue()
    credential = f"Bearer {issued.credential}"
    Client().get("/api/production/v1/customers/none-of-these", HTTP_AUTHORIZATION=credential)

    text = Client().get("/metrics").content.decode()

    assert 'latchkey_requests_total{environment="production",code="not_found"}' in text
    assert 'latchkey_keys{environment="production",status="active"} 1' in text
    assert issued.key.pk not in text
    assert "none-of-these" not in text
