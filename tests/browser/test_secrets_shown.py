"""A secret that is shown once stays on the screen until somebody says that it was copied."""

import re

from playwright.sync_api import Dialog, Page, Route, expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

UNTIL = re.compile(r"The old key is accepted until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.")


def regenerate(visitor: Visitor, key_id: str, *, overlap: str) -> str:
    page = visitor.page
    visitor.open(f"apikeys/apikey/{key_id}/change/")
    visitor.act("Regenerate")
    page.check(f"[name=overlap][value='{overlap}']")
    page.click("#dialog button:has-text('Regenerate')")
    page.wait_for_selector("#dialog [data-secret]")
    return visitor.shown_credential()


def focus_is_on_copy(page: Page) -> None:
    page.wait_for_function("document.activeElement.dataset.copy === 'latchkey-credential'")


def refuse_to_leave(visitor: Visitor) -> list[str]:
    """Answer every question of the browser with no; return the list of what it asked."""
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    visitor.page.on("dialog", refuse)
    visitor.undo.callback(visitor.page.remove_listener, "dialog", refuse)
    return asked


def try_to_leave(page: Page, asked: list[str], script: str) -> None:
    before = len(asked)
    page.evaluate(script)
    for _ in range(100):
        if len(asked) > before:
            break
        page.wait_for_timeout(100)


def test_only_an_explicit_word_closes_a_dialog_that_shows_a_secret(
    visitor: Visitor, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key()
    secret = regenerate(visitor, made["id"], overlap="3600")
    focus_is_on_copy(page)
    visitor.picture("secret-kept")

    page.keyboard.press("Escape")
    page.mouse.click(3, 3)
    page.wait_for_timeout(500)
    expect(page.locator("#latchkey-credential")).to_be_visible()

    asked = refuse_to_leave(visitor)
    try_to_leave(page, asked, "location.assign('/admin/')")
    # On a narrow screen one entry is the "#" of the button that opens the actions.
    try_to_leave(page, asked, "history.go(1 - history.length)")
    try_to_leave(page, asked, "document.querySelector('#nav-sidebar a').click()")
    assert asked == ["beforeunload"] * 3
    assert visitor.shown_credential() == secret

    page.focus("#dialog >> text=I have copied it")
    page.keyboard.press("Enter")
    expect(page.locator("#latchkey-credential")).to_have_count(0)
    assert len(asked) == 3


def test_a_dialog_that_was_closed_too_early_opens_again_for_its_secret(
    visitor: Visitor, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key()
    visitor.open(f"apikeys/apikey/{made['id']}/change/")
    visitor.act("Regenerate")
    held: list[Route] = []
    page.route("**/regenerate/**", lambda route: held.append(route))  # noqa: PLW0108
    page.click("#dialog button:has-text('Regenerate')")
    page.wait_for_timeout(300)

    asked = refuse_to_leave(visitor)
    try_to_leave(page, asked, "location.assign('/admin/')")
    page.keyboard.press("Escape")
    expect(page.locator("#modal-content")).to_be_hidden()
    held[0].continue_()

    expect(page.locator("#latchkey-credential")).to_be_visible()
    assert asked == ["beforeunload"]


def test_a_page_knows_that_its_key_was_regenerated(visitor: Visitor, product: Latchkey) -> None:
    page, made = visitor.page, product.create_key()
    regenerate(visitor, made["id"], overlap="0")
    page.click("#dialog >> text=I have copied it")
    expect(page.locator("body")).to_contain_text("Retired")

    page.click("#content-main nav >> text=Settings")
    page.fill("[name=name]", "Renamed after it")
    page.click("text=Save changes")

    expect(page.locator("body")).to_contain_text("changed successfully")


def test_a_dialog_says_when_the_old_secret_stops(visitor: Visitor, product: Latchkey) -> None:
    made = product.create_key()

    regenerate(visitor, made["id"], overlap="3600")
    expect(visitor.page.locator("#dialog")).to_contain_text(UNTIL)
    regenerate(visitor, made["id"], overlap="0")

    expect(visitor.page.locator("#dialog")).to_contain_text("The old key is refused from now on.")


def test_the_page_of_a_new_key_asks_before_it_is_left(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/add/")
    page.fill("[name=name]", f"Kept {visitor.look}")
    page.check("[name=environment][value=production]")
    page.click("button:has-text('Create API Key')")
    secret = visitor.shown_credential()
    focus_is_on_copy(page)
    visitor.picture("secret-created")

    # A browser asks on pages that somebody has touched.
    page.keyboard.press("Enter")
    asked = refuse_to_leave(visitor)
    try_to_leave(page, asked, "history.back()")
    try_to_leave(page, asked, "document.querySelector('#nav-sidebar a').click()")
    page.keyboard.press("Escape")
    assert asked == ["beforeunload"] * 2
    assert visitor.shown_credential() == secret

    page.click("text=I have copied it")
    expect(page.locator("#content-main nav >> text=Secrets")).to_be_visible()
    assert len(asked) == 2


def test_a_dialog_without_a_secret_closes_as_ever(visitor: Visitor, product: Latchkey) -> None:
    page, made = visitor.page, product.create_key()
    for close in ("Escape", "beside"):
        visitor.open(f"apikeys/apikey/{made['id']}/change/")
        visitor.act("Revoke")
        if close == "Escape":
            page.keyboard.press("Escape")
        else:
            page.mouse.click(3, 3)
        expect(page.locator("#modal-content")).to_be_hidden()
