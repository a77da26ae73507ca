"""A key is handed over: made in the admin, confirmed in a browser that runs no script."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.support.product import Latchkey
from tests.support.visitor import CREDENTIAL, Visitor, take_picture

PASSPHRASE = "seven green bottles"


@pytest.fixture
def recipient(visitor: Visitor, browser: Browser) -> Iterator[Page]:
    """The page of somebody without an account and without scripts, at the same screen."""
    scheme = visitor.look.partition("-")[0]
    context = browser.new_context(
        viewport=visitor.size, color_scheme=scheme, java_script_enabled=False
    )
    yield context.new_page()
    context.close()


def picture(page: Page, visitor: Visitor, name: str) -> None:
    take_picture(page, f"{name}-{visitor.look}")
    width = page.locator("main").bounding_box()
    assert width is not None
    assert width["x"] >= 0
    assert width["x"] + width["width"] <= visitor.size["width"]


def link_on(page: Page) -> str:
    return page.inner_text("#latchkey-link")


def test_a_new_key_is_handed_over_to_a_browser_without_scripts(
    visitor: Visitor, recipient: Page, product: Latchkey
) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/add/")
    page.fill("[name=name]", "Partner integration")
    page.check("[name=environment][value=production]")
    page.fill("[name=passphrase]", PASSPHRASE)
    visitor.picture("hand-over-form")
    page.click("button:has-text('Create and hand over')")
    page.wait_for_selector("#latchkey-link")
    visitor.picture("hand-over-link")
    link = link_on(page)
    page.click("text=I have copied it, open the key")
    expect(page.locator("#hand-over")).to_contain_text("Not opened yet.")
    visitor.picture("hand-over-pending")

    recipient.goto(link)
    picture(recipient, visitor, "handover-offered")
    recipient.fill("[name=passphrase]", "eight green bottles")
    recipient.click("text=Show the key")
    expect(recipient.locator(".error")).to_contain_text("That is not the passphrase.")
    picture(recipient, visitor, "handover-wrong")
    recipient.fill("[name=passphrase]", PASSPHRASE)
    recipient.click("text=Show the key")
    credential = recipient.inner_text(".secret")
    picture(recipient, visitor, "handover-issued")

    assert CREDENTIAL.fullmatch(credential)
    with product.caller(credential) as caller:
        assert caller.get("/api/production/v1/key").json()["name"] == "Partner integration"
    recipient.goto(link)
    expect(recipient.locator("h1")).to_have_text("This link is not good")
    picture(recipient, visitor, "handover-gone")
    # Back is the page with the key, which the browser keeps nowhere.
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        recipient.go_back()


def test_a_regenerated_key_is_handed_over_and_the_link_withdrawn(
    visitor: Visitor, recipient: Page, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key()
    visitor.open(f"apikeys/apikey/{made['id']}/change/")
    visitor.act("Regenerate and hand over")
    visitor.picture("hand-over-dialog")
    page.click("#dialog button:has-text('Hand over')")
    page.wait_for_selector("#latchkey-link")
    visitor.picture("hand-over-dialog-link")
    link = link_on(page)
    recipient.goto(link)
    expect(recipient.locator("h1")).to_have_text("An API key for you")
    page.click("text=I have copied it, close")
    expect(page.locator("#hand-over")).to_contain_text(re.compile("Opened from 127.0.0.1"))

    visitor.act("Withdraw hand-over")
    page.click("#dialog button:has-text('Withdraw')")
    page.wait_for_selector("text=is withdrawn")

    recipient.click("text=Show the key")
    expect(recipient.locator("h1")).to_have_text("This link is not good")
    with product.caller(made["key"]) as caller:
        assert caller.get("/api/production/v1/key").status_code == 200
