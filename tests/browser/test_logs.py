"""The request log and the charts, as people see them."""

import time

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor


@pytest.fixture(scope="session")
def called(product: Latchkey) -> tuple[str, str]:
    """A key that was called with every outcome, and the id of a request that was refused."""
    made = product.create_key("--permission", "customers:read", "--per-minute", "30")
    base = f"{product.url}/api/production/v1"
    headers = {"Authorization": f"Bearer {made['key']}", "User-Agent": "probe/1.0"}
    with httpx.Client(headers=headers) as http:
        refused = http.get(f"{base}/customers?limit=<b>none</b>")
        for _ in range(40):
            http.get(f"{base}/customers")
        http.get(f"{base}/nowhere")
    time.sleep(1.5)
    return made["id"], refused.headers["x-request-id"]


@pytest.fixture(scope="session")
def decided(product: Latchkey) -> None:
    """Decisions about a key, one of them for a service."""
    product.guard("stock", "GET /v1/** stock:read")
    made = product.create_key("--permission", "stock:read")
    verifier = product.create_key("--permission", "keys:verify")
    about = {"service": "stock", "method": "GET", "path": "/v1/parts/7"}
    with product.caller(verifier["key"]) as http:
        for asked in (about, {**about, "path": "/v2"}, {"permission": "jobs:run"}):
            answer = http.post("/api/production/v1/keys/verify", json={"key": made["key"], **asked})
            assert answer.status_code == 200, answer.text
    time.sleep(1.5)


@pytest.mark.usefixtures("decided")
def test_decisions_are_found_by_service_and_shown(visitor: Visitor) -> None:
    page = visitor.page

    visitor.open("")
    page.click("text=Busiest services >> .. >> text=stock")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator("#result_list tbody tr", has_text="no_rule")).to_have_count(1)
    visitor.picture("decisions")

    page.locator("#result_list tbody tr").nth(1).locator("th a").click()
    expect(page.locator("text=Verified by key")).to_be_visible()
    expect(page.locator("text=Latchkey admitted this request.")).to_be_visible()
    visitor.picture("decision")


def test_requests_are_found_and_shown(visitor: Visitor, called: tuple[str, str]) -> None:
    key_id, refused = called
    page = visitor.page

    visitor.open(f"apikeys/apikey/{key_id}/change/")
    expect(page.locator("#usage canvas")).to_have_count(2)
    visitor.picture("key-usage")
    page.click("text=All requests")
    page.wait_for_selector("#result_list")
    expect(page.locator("#result_list tbody tr")).to_have_count(42)
    visitor.picture("logs")

    page.fill("[name=q]", refused)
    page.press("[name=q]", "Enter")
    expect(page.locator("text=What refused it")).to_be_visible()
    visitor.picture("log")
    page.click("dd >> text=Test")
    expect(page.locator("#usage")).to_be_visible()


def test_the_front_page_shows_traffic(visitor: Visitor, called: tuple[str, str]) -> None:
    visitor.open("")

    expect(visitor.page.locator("canvas")).to_have_count(3)
    expect(visitor.page.locator("text=rate_limited")).to_be_visible()
    visitor.picture("overview-traffic")


def call(product: Latchkey, key: str, path: str, *, method: str = "GET") -> str:
    """Call the API; return the id of the request once it is in the log."""
    with product.caller(key) as http:
        answer = http.request(
            method, f"/api/production/v1/{path}", json={} if method != "GET" else None
        )
    time.sleep(1)
    return answer.headers["x-request-id"]


def test_the_live_tail_shows_new_requests_until_it_is_paused(
    visitor: Visitor, product: Latchkey
) -> None:
    page = visitor.page
    made = product.create_key("--permission", "customers:read")
    call(product, made["key"], "key")
    rows = page.locator("#result_list > tbody")

    visitor.open(f"logs/requestlog/?key__id__exact={made['id']}")
    expect(rows).to_have_count(1)
    page.click("text=Live tail")
    call(product, made["key"], "customers")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("customers")
    expect(page.locator("[data-tail-said]")).to_contain_text("1 new request, 1 since")
    visitor.picture("live-tail")

    page.keyboard.press("Enter")
    expect(page.locator("[data-tail-said]")).to_have_text("Paused after 1 new request.")
    with page.expect_request("**/tail/**", timeout=30_000):
        call(product, made["key"], "key")
        expect(rows).to_have_count(2)
        page.click("text=Live tail")
    expect(rows).to_have_count(3)


def test_a_range_of_the_histogram_is_dragged_or_set_by_keys(
    visitor: Visitor, called: tuple[str, str]
) -> None:
    page = visitor.page

    visitor.open("logs/requestlog/")
    box = page.locator(".latchkey-histogram-bars").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=3)
    page.mouse.up()
    page.wait_for_url("**at_from_0=**at_to_0=**")
    expect(page.locator("#result_list > tbody").first).to_be_visible()
    visitor.picture("histogram")

    visitor.open("logs/requestlog/")
    page.focus("[data-range=from]")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-range-said]")).to_contain_text("UTC")
    page.keyboard.press("Enter")
    page.wait_for_url("**at_from_0=**at_to_0=**")


def test_a_refused_request_leads_to_the_permission_that_it_lacked(
    visitor: Visitor, product: Latchkey
) -> None:
    page = visitor.page
    made = product.create_key("--permission", "customers:read")
    refused = call(product, made["key"], "customers", method="POST")

    visitor.open(f"logs/requestlog/{refused}/change/")
    expect(page.locator("#explanation")).to_contain_text("Permission refused it")
    visitor.picture("explanation")
    page.click("text=Grant customers:write to this key")
    visitor.picture("remedy")
    page.click("main form button[type=submit]")
    expect(page.locator("#explanation")).to_contain_text("It would pass now.")
    expect(page.locator("#explanation")).to_contain_text("customers:read, customers:write")
