"""The review queue: keys are selected, and the change shown before it is made."""

import json

from playwright.sync_api import expect

from review.queue_pages import PER_PAGE
from tests.support.product import Latchkey
from tests.support.visitor import Visitor


def test_a_key_is_selected_shown_as_a_difference_and_changed(
    visitor: Visitor, product: Latchkey
) -> None:
    key, page = product.create_key()["id"], visitor.page
    visitor.open("review/no-expiry/")
    while not page.locator(f"input[value='{key}']").count():
        page.click("a[rel=next]")
    queue = page.url
    rows = page.locator(".latchkey-queue tbody tr").count()

    page.check("[data-select-all]")
    expect(page.locator("[data-selected]")).to_have_text(f"{rows} selected")
    page.uncheck("[data-select-all]")
    page.check(f"input[value='{key}']")
    expect(page.locator("[data-selected]")).to_have_text("1 selected")
    page.click("text=Expire in 90 days…")

    expect(page.locator("h2").first).to_have_text("Change 1 key")
    expect(page.locator(".latchkey-difference")).to_contain_text("never")
    visitor.picture("propose")
    page.click("button:has-text('Change 1 key')")

    expect(page.locator("text=1 key was changed.")).to_be_visible()
    assert page.url == queue
    assert not page.locator(f"input[value='{key}']").count()


def test_keys_selected_in_the_list_are_changed_as_their_difference_says(
    visitor: Visitor, product: Latchkey
) -> None:
    tag = f"many-{visitor.look}"
    keys = {product.create_key("--tag", tag)["id"] for _ in range(2)}
    page = visitor.page
    visitor.open(f"apikeys/apikey/?tag={tag}")
    for box in page.locator("input.action-select").all():
        box.check()

    page.select_option("select[name=action]", "change_selected")
    page.click("button[name=index]")
    expect(page.locator("h2").first).to_have_text("Change 2 keys")
    visitor.picture("edit")
    page.fill("[name=limit_minute]", "7")
    page.fill("[name=expires]", "30d")
    page.click("button:has-text('Show the difference')")
    expect(page.locator(".latchkey-difference")).to_have_count(2)
    page.click("button:has-text('Change 2 keys')")

    expect(page.locator("text=2 keys were changed.")).to_be_visible()
    assert f"tag={tag}" in page.url
    listed = json.loads(product.manage("list_api_keys", "--tag", tag, "--json").stdout)
    assert {row["id"] for row in listed} == keys
    assert {row["limits"]["minute"] for row in listed} == {7}
    assert all(row["expires_at"] for row in listed)


def test_a_finding_is_dismissed_with_a_reason_and_brought_back(
    visitor: Visitor, product: Latchkey
) -> None:
    key, page = product.create_key()["id"], visitor.page
    visitor.open("review/no-network/")
    while not page.locator(f"input[value='{key}']").count():
        page.click("a[rel=next]")

    page.check(f"input[value='{key}']")
    page.click("button:has-text('Dismiss…')")
    visitor.picture("dismiss")
    page.fill("[name=reason]", "Called from everywhere")
    page.click("button:has-text('Dismiss 1 finding')")

    expect(page.locator("text=1 finding is dismissed.")).to_be_visible()
    assert not page.locator(f"input[value='{key}']").count()
    page.click("a:has-text('dismissed')")
    expect(page.locator(f"tr:has(input[value='{key}'])")).to_contain_text("Called from everywhere")
    page.check(f"input[value='{key}']")
    page.click("button:has-text('Bring back')")
    expect(page.locator("text=1 finding is back in the queue.")).to_be_visible()


def test_all_pages_are_selected_with_one_box(visitor: Visitor, product: Latchkey) -> None:
    page = visitor.page
    manager = product.create_key("--permission", "keys:manage")
    with product.caller(manager["key"]) as http:
        for number in range(PER_PAGE):
            made = http.post("/api/production/v1/keys", json={"name": f"Of many {number}"})
            assert made.status_code == 201, made.text
    visitor.open("review/no-network/")
    found = page.locator("nav a[aria-current=page] strong").inner_text()

    page.check("input[name=all]")
    assert page.locator("input[name=key]").first.is_disabled()
    expect(page.locator("[data-selected]")).to_contain_text(f"All {found} keys")
    page.click("button:has-text('Dismiss…')")

    expect(page.locator("main form button")).to_have_text(f"Dismiss {found} findings")
