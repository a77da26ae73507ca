"""What people do with a list: narrow it, save that, copy ids, read times, also on a phone."""

import json

import pytest
from playwright.sync_api import expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

MAX_PHONE_HEIGHT = 6000
ADD_KEYS = """
import json
from tests.support import factories
print(json.dumps([factories.issue(name=f"Phone {n}").key.pk for n in range(50)]))
"""


@pytest.fixture(scope="session")
def full_list(product: Latchkey) -> list[str]:
    """Keys and requests for more than one page of either list."""
    made = product.manage("shell", "-v", "0", "-c", ADD_KEYS)
    assert made.returncode == 0, made.stderr
    key = product.create_key("--permission", "customers:read")
    with product.caller(key["key"]) as http:
        for number in range(60):
            http.get("/api/production/v1/customers", params={"limit": number + 1})
    ids: list[str] = json.loads(made.stdout.splitlines()[-1])
    return ids


def test_filters_are_set_saved_opened_and_removed_with_a_click_each(
    visitor: Visitor, full_list: list[str]
) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/")

    page.get_by_role("navigation", name="Environment").get_by_text("Production").click()
    page.get_by_role("navigation", name="Status").get_by_text("Active", exact=True).click()
    expect(page.locator(".latchkey-chips")).to_contain_text("Environment: Production")
    visitor.picture("list-tools")
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view").fill(f"In use {visitor.look}")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator(".latchkey-chips")).to_have_count(0)

    page.get_by_role("link", name=f"In use {visitor.look}").click()
    page.wait_for_url("**/apikeys/apikey/?environment__exact=production&status=active")
    page.get_by_role("link", name="Remove the filter Status").click()
    page.wait_for_url("**/apikeys/apikey/?environment__exact=production")
    page.get_by_role("button", name=f"Delete the saved filters In use {visitor.look}").click()
    expect(page.get_by_role("link", name=f"In use {visitor.look}")).to_have_count(0)


@pytest.mark.parametrize("path", ["apikeys/apikey/", "logs/requestlog/"])
def test_a_page_of_a_list_is_short_on_a_phone(
    visitor: Visitor, full_list: list[str], path: str
) -> None:
    visitor.open(path)
    expect(visitor.page.locator("#result_list tbody")).to_have_count(50)
    visitor.picture(f"cards-{path.split('/')[1]}")

    if visitor.is_narrow:
        height = visitor.page.evaluate("document.documentElement.scrollHeight")
        assert height <= MAX_PHONE_HEIGHT


def test_an_id_is_copied_by_its_button_without_the_permission_too(
    visitor: Visitor, full_list: list[str]
) -> None:
    page = visitor.page
    visitor.open(f"apikeys/apikey/?q={full_list[0]}")
    copy = page.get_by_role("button", name=f"Copy {full_list[0]}")

    # Headless Chromium denies the clipboard until it is granted.
    copy.focus()
    page.keyboard.press("Enter")

    expect(page.locator(".latchkey-copy[data-done]")).to_have_attribute("aria-label", "Copied")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    assert page.evaluate("navigator.clipboard.readText()") == full_list[0]
    visitor.open(f"apikeys/apikey/{full_list[0]}/change/")
    expect(page.get_by_role("button", name=f"Copy {full_list[0]}").first).to_be_visible()


def test_a_time_tells_the_local_time_to_whoever_points_at_it(
    visitor: Visitor, full_list: list[str]
) -> None:
    chrome = visitor.context.new_cdp_session(visitor.page)
    chrome.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    visitor.undo.callback(chrome.detach)
    visitor.open("logs/requestlog/")
    time = visitor.page.locator("#result_list time").first

    time.hover()

    written = time.get_attribute("datetime") or ""
    utc, local = (time.get_attribute("title") or "").splitlines()
    assert utc == f"{written[:19].replace('T', ' ')} UTC"
    assert local.endswith("GMT+9")
