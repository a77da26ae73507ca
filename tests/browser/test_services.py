"""The rules of a service as rows: moved by buttons and by dragging, and kept when refused."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

IS_IN_VIEW = """element => {
  const { left, bottom } = element.getBoundingClientRect();
  return element.contains(document.elementFromPoint(left + 5, bottom - 3));
}"""
LINES = ["GET /first public", "POST /second orders:write cost=5", "* /third any-key"]


@pytest.fixture
def page(visitor: Visitor, product: Latchkey, request: pytest.FixtureRequest) -> Page:
    """The page of a service of the test's own."""
    name = f"s{abs(hash(request.node.name)) % 10**9}"
    rules = [part for line in LINES for part in ("--rule", line)]
    done = product.manage("create_service", name, *rules)
    assert done.returncode == 0, done.stderr
    visitor.open(f"gateway/service/?q={name}")
    visitor.page.click("#result_list tbody th a")
    expect(rows(visitor.page)).to_have_count(3)
    return visitor.page


def rows(page: Page) -> Locator:
    return page.locator(".latchkey-rules li")


def sent(page: Page) -> list[str]:
    """Return what a save would send."""
    return page.input_value("[name=rules]").split("\n")


def save(page: Page) -> None:
    page.click("text=Save changes")
    expect(page.locator("#main-content")).to_contain_text("was changed successfully")


def part(page: Page, row: int, name: str) -> Locator:
    return rows(page).nth(row).locator(f"[data-part={name}]")


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


def test_rules_are_moved_removed_and_added_with_the_keyboard(page: Page, visitor: Visitor) -> None:
    visitor.picture("service")
    rows(page).nth(2).get_by_label("Move up").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert sent(page) == [LINES[2], LINES[0], LINES[1]]
    assert focused(page) == "Move down: Rule 1"
    expect(page.locator(".latchkey-rules [role=status]")).to_have_text("Moved to place 1 of 3.")

    rows(page).nth(1).get_by_label("Remove").focus()
    page.keyboard.press("Enter")
    assert focused(page) == "Remove: Rule 2"
    page.get_by_role("button", name="Add a rule").focus()
    page.keyboard.press("Enter")
    for text in ("get, head", "/fourth", "orders:write", "7"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")

    kept = [LINES[2], LINES[1], "GET,HEAD /fourth orders:write cost=7"]
    assert sent(page) == kept
    save(page)
    page.reload()
    assert sent(page) == kept


def test_a_rule_is_dragged_to_another_place(page: Page) -> None:
    handle = rows(page).nth(0).locator(".latchkey-rule-handle")
    handle.scroll_into_view_if_needed()
    below = rows(page).nth(2).bounding_box()
    start = handle.bounding_box()
    assert below is not None
    assert start is not None

    page.mouse.move(start["x"] + 5, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(start["x"] + 5, below["y"] + below["height"] - 2, steps=8)
    page.mouse.up()

    assert sent(page) == [LINES[1], LINES[2], LINES[0]]
    assert part(page, 2, "path").input_value() == "/first"


def test_many_lines_are_pasted_as_text(page: Page) -> None:
    page.click("text=Edit as text")
    page.fill("[name=rules]", "GET /a any-key\n\nPOST  /b   orders:write  cost=3\n")
    page.click("text=Edit as rows")

    expect(rows(page)).to_have_count(2)
    assert part(page, 1, "cost").input_value() == "3"
    save(page)


def test_a_refused_rule_has_the_keyboard_and_nothing_typed_is_lost(
    page: Page, visitor: Visitor
) -> None:
    page.fill("[name=description]", "Unsaved")
    part(page, 1, "path").fill("")
    part(page, 2, "needs").fill("nothing here")
    page.click("text=Save changes")

    expect(page.locator("#content [role=alert]")).to_contain_text(
        "Rule 2: The path '-' does not begin"
    )
    assert page.input_value("[name=description]") == "Unsaved"
    typed = [part(page, 1, name).input_value() for name in ("methods", "path", "needs", "cost")]
    assert typed == ["POST", "", "orders:write", "5"]
    assert part(page, 2, "needs").input_value() == "nothing here"
    assert page.evaluate("document.activeElement.closest('li').ariaLabel") == "Rule 2"
    visitor.picture("service-refused")


def test_rules_are_a_text_where_the_script_is_missing(page: Page) -> None:
    page.route("**/rules*.js", lambda route: route.abort())
    page.reload()

    page.fill("[name=rules]", "\n".join([*LINES, "GET /fourth public"]))
    save(page)

    page.unroute("**/rules*.js")
    page.reload()
    assert sent(page) == [*LINES, "GET /fourth public"]


def test_a_request_is_tested_on_the_page_and_unsaved_rules_stay(
    page: Page, visitor: Visitor
) -> None:
    part(page, 0, "path").fill("/unsaved")
    page.fill("#id_preview_path", "/first")
    page.locator("#id_preview_path").press("Enter")

    result = page.locator("#preview [role=status]")
    expect(result).to_contain_text("200")
    expect(result).to_contain_text("Rule 1 matches: GET /first public")
    page.fill("#id_preview_path", "/second")
    button = page.locator("#preview-button").bounding_box()
    assert button is not None
    page.evaluate(f"scrollBy(0, {button['y']} - innerHeight + 120)")
    page.locator("#id_preview_path").press("Enter")
    expect(result).to_contain_text("401 key_missing")
    page.wait_for_timeout(200)
    assert result.evaluate(IS_IN_VIEW), "the bar with the buttons lies over it"
    assert page.input_value("#id_preview_path") == "/second"
    assert part(page, 0, "path").input_value() == "/unsaved"
    visitor.picture("service-tested")


def test_a_test_that_the_server_cannot_make_says_so(page: Page) -> None:
    page.route("**/preview/", lambda route: route.fulfill(status=503))
    page.fill("#id_preview_path", "/first")
    page.click("#preview-button")

    expect(page.locator("#preview [role=alert]")).to_contain_text("Wait a moment and try again.")


def test_a_service_is_disabled_and_deleted_by_dialogs(page: Page, visitor: Visitor) -> None:
    visitor.act("Disable")
    visitor.picture("service-disable")
    page.click("#dialog button:has-text('Disable')")
    expect(page.locator(".latchkey-summary")).to_contain_text("Disabled")

    visitor.act("Delete")
    expect(page.locator("#dialog")).to_contain_text("its proxies refuse every request")
    page.click("#dialog button:has-text('Delete')")

    page.wait_for_url("**/gateway/service/")
    expect(page.locator("#main-content")).to_contain_text("is deleted.")


def test_the_configuration_of_a_proxy_is_filled_in_and_copied(page: Page, visitor: Visitor) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.select_option("#id_proxies_environment", "staging")
    page.fill("#id_proxies_latchkey", "latchkey.internal:8443")
    page.click("#proxies-button")

    caddy = page.locator(".latchkey-proxy", has_text="Caddy")
    expect(caddy).to_contain_text("latchkey.internal:8443")
    caddy.locator("summary").focus()
    page.keyboard.press("Enter")
    visitor.picture("service-proxies")
    caddy.get_by_role("button", name="Copy").click()
    expect(caddy.get_by_role("button", name="Copied")).to_be_visible()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == caddy.locator("pre").first.text_content()
    assert "/auth/staging/" in copied
