"""Everything in the admin is reached without a mouse."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

PAGES = {
    "overview": "",
    "keys": "apikeys/apikey/",
    "create": "apikeys/apikey/add/",
    "service": "gateway/service/add/",
    "audit": "apikeys/event/",
    "person": "auth/user/add/",
    "password": "password_change/",
}


def focused(visitor: Visitor) -> Any:
    return visitor.page.evaluate("document.activeElement.id || document.activeElement.tagName")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_main_part_and_a_link_that_skips_to_it(visitor: Visitor, name: str) -> None:
    page = visitor.page
    visitor.open(PAGES[name])

    assert page.locator("main").count() == 1
    # Not by Tab: some forms take the focus when they are loaded.
    page.wait_for_load_state("networkidle")
    first = page.locator("a[href], button, input:not([type=hidden])").first
    first.focus()
    expect(page.locator("a:focus")).to_have_text("Skip to the content")
    expect(page.locator("a:focus")).to_be_in_viewport()
    visitor.picture(f"skip-{name}")
    page.keyboard.press("Enter")
    assert focused(visitor) == "main-content"


def test_pages_without_a_menu_have_a_main_part_too(
    browser: Browser, product: Latchkey, visitor: Visitor
) -> None:
    visitor.open("nowhere/")
    assert visitor.page.locator("main").count() == 1

    stranger = Visitor(browser, product, "light", 1280)
    stranger.open("login/")
    assert stranger.page.locator("main").count() == 1
    assert stranger.page.locator("main [name=username]").count() == 1
    stranger.context.close()


@pytest.mark.parametrize("width", [1024, 390])
def test_the_menu_opens_and_closes_by_the_keyboard(visitor: Visitor, width: int) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})
    visitor.open("apikeys/apikey/")
    button = page.get_by_role("button", name="Menu", exact=True)
    link = page.locator("#nav-sidebar a:has-text('Customers')")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(link).to_be_hidden()

    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(link).to_be_visible()
    page.wait_for_function("document.activeElement.closest('#nav-sidebar')")
    visitor.picture(f"menu-{width}")
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    assert focused(visitor) == "menu-button"

    page.keyboard.press("Space")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/customer/")


def test_filters_and_the_account_menu_open_by_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/")
    filters = page.get_by_role("button", name="Filters")
    filters.focus()
    page.keyboard.press("Enter")
    expect(page.locator("button:has-text('Apply')")).to_be_visible()

    visitor.open("apikeys/apikey/")
    if visitor.is_narrow:
        page.get_by_role("button", name="Menu", exact=True).click()
    account = page.get_by_role("button", name="admin")
    account.focus()
    page.keyboard.press("Enter")
    expect(page.locator("text=Log out")).to_be_visible()
