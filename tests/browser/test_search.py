"""The search box of every page: by keyboard, as one types, and what never leaves the browser."""

import pytest
from playwright.sync_api import Request, expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

BOX = "#search input"


@pytest.fixture(scope="session")
def issued(product: Latchkey) -> dict[str, str]:
    made: dict[str, str] = product.create_key()
    return made


def sent(visitor: Visitor) -> list[str]:
    """Return a list that grows by all that the page sends: addresses, headers and bodies."""
    found: list[str] = []

    def note(request: Request) -> None:
        found.append(f"{request.url} {request.headers} {request.post_data}")

    visitor.page.on("request", note)
    visitor.undo.callback(visitor.page.remove_listener, "request", note)
    return found


@pytest.mark.parametrize("path", ["", "apikeys/apikey/", "apikeys/apikey/add/", "auth/user/"])
def test_ctrl_k_goes_to_the_box_of_every_page(visitor: Visitor, path: str) -> None:
    visitor.open(path)
    expect(visitor.page.locator(BOX)).to_be_visible()

    visitor.page.keyboard.press("Control+k")

    expect(visitor.page.locator(BOX)).to_be_focused()


def test_a_slash_goes_to_the_box_unless_the_list_has_one(visitor: Visitor) -> None:
    visitor.open("")
    visitor.page.keyboard.press("/")
    expect(visitor.page.locator(BOX)).to_be_focused()
    expect(visitor.page.locator(BOX)).to_have_value("")

    visitor.open("apikeys/apikey/")
    visitor.page.wait_for_load_state("networkidle")
    visitor.page.keyboard.press("/")
    expect(visitor.page.locator("#searchbar")).to_be_focused()


def test_what_is_typed_is_found_and_opened_by_the_keyboard(
    visitor: Visitor, issued: dict[str, str]
) -> None:
    page = visitor.page
    visitor.open("")
    page.keyboard.press("Control+k")
    page.keyboard.type(issued["id"][:8])
    expect(page.get_by_role("option")).to_have_count(1)
    visitor.picture("search-found")

    page.keyboard.press("ArrowDown")
    expect(page.locator(BOX)).to_have_attribute("aria-activedescendant", "search-found-0")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/apikeys/apikey/{issued['id']}/change/")


def test_a_request_id_opens_its_page_with_enter(
    visitor: Visitor, product: Latchkey, issued: dict[str, str]
) -> None:
    with product.caller(issued["key"]) as http:
        request_id = http.get("/api/production/v1/key").headers["X-Request-ID"]
    page = visitor.page
    visitor.open("apikeys/apikey/")
    page.wait_for_timeout(1500)

    page.keyboard.press("Control+k")
    page.keyboard.insert_text(request_id)
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/logs/requestlog/{request_id}/change/")


@pytest.mark.parametrize("box", [BOX, "#searchbar"])
@pytest.mark.parametrize("way", ["pasted", "pasted beside it", "typed"])
def test_a_credential_is_cut_before_anything_is_sent(
    visitor: Visitor, issued: dict[str, str], box: str, way: str
) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/")
    page.wait_for_load_state("networkidle")
    requests = sent(visitor)
    secret = issued["key"].rpartition("_")[2]
    if way != "pasted beside it":
        page.focus(box)
    elif box != BOX:
        # What is pasted beside any field goes to the one search.
        box = BOX

    if way == "typed":
        page.keyboard.type(issued["key"])
    else:
        visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.evaluate(
            "text => navigator.clipboard.writeText(text)", f"Authorization: Bearer {issued['key']}"
        )
        page.keyboard.press("Control+v")
        expect(page.locator(box)).to_have_value(issued["id"])
    page.wait_for_timeout(400)
    page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")

    if box == BOX:
        page.wait_for_url(f"**/apikeys/apikey/{issued['id']}/change/")
    else:
        page.wait_for_url(f"**/apikeys/apikey/?q={issued['id']}")
        expect(page.locator("#result_list tbody")).to_have_count(1)
    assert any(issued["id"] in one for one in requests)
    assert not [one for one in requests if secret[:6] in one]


def test_what_is_not_found_is_named(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("")
    page.keyboard.press("Control+k")
    page.keyboard.type("no such thing")

    expect(page.locator("#search-found")).to_contain_text("Nothing found for “no such thing”.")
    expect(page.locator("#search-found")).to_contain_text("Requests by id")
    visitor.picture("search-nothing")
    page.keyboard.press("Escape")
    expect(page.locator("#search-found")).to_be_hidden()
