"""A key's life in the admin, by mouse and keyboard."""

import sqlite3
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor


def call(product: Latchkey, credential: str) -> tuple[int, str]:
    response = httpx.get(
        f"{product.url}/api/production/v1/customers",
        headers={"Authorization": f"Bearer {credential}"},
    )
    return response.status_code, response.json().get("code", "")


def test_a_key_lives_from_creation_to_revocation(visitor: Visitor, product: Latchkey) -> None:
    page, name = visitor.page, f"Main Website {visitor.look}"
    visitor.open("")
    visitor.picture("overview")

    # Create.
    visitor.open("apikeys/apikey/")
    visitor.picture("keys")
    page.click("text=Create API Key")
    page.fill("[name=name]", name)
    page.check("[name=environment][value=production]")
    page.check("[value='customers:read']")
    page.check("[value=selected]")
    page.select_option("[name=expiry]", "custom")
    page.fill("[name=expires_on]", "2099-01-31T00:00")
    page.click(".select2-selection")
    page.keyboard.type("Fabrikam")
    page.click(".select2-results__option >> text=Fabrikam Robotics")
    assert page.locator(".select2-results__option:has-text('staging')").count() == 0
    visitor.picture("create")
    page.click("button:has-text('Create API Key')")

    # The one page that shows the key: copied without a network, gone after a reload.
    first = visitor.shown_credential()
    visitor.picture("created")
    if not visitor.is_narrow:
        visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.click("[data-copy=latchkey-credential]")
        expect(page.locator("[data-copy=latchkey-credential]")).to_contain_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == first
    assert first in page.inner_text("#latchkey-curl")
    assert call(product, first) == (200, "")
    page.reload()
    expect(page.locator("body")).to_contain_text("created already")
    assert first not in page.content()

    # Regenerate.
    visitor.open(f"apikeys/apikey/{first.split('_')[2]}/change/")
    visitor.picture("key")
    visitor.act("Regenerate")
    visitor.picture("regenerate")
    # It was used a moment ago, so an overlap is proposed.
    assert page.is_checked("[name=overlap][value='3600']")
    page.check("[name=overlap][value='0']")
    page.click("#dialog button:has-text('Regenerate')")
    page.wait_for_selector("#dialog [data-secret]")
    second = visitor.shown_credential()
    visitor.picture("regenerated")
    assert call(product, first) == (401, "key_invalid")
    assert call(product, second) == (200, "")
    page.click("text=I have copied it")
    page.wait_for_load_state()
    assert second not in page.content()

    # Revoke, and activate.
    visitor.act("Revoke")
    page.fill("[name=reason]", "Laptop reported stolen")
    visitor.picture("revoke")
    page.click("#dialog button:has-text('Revoke')")
    expect(page.locator("body")).to_contain_text("is revoked")
    visitor.picture("revoked")
    assert call(product, second) == (401, "key_revoked")
    expect(page.locator(".latchkey-verdict")).to_contain_text("Laptop reported stolen")
    visitor.act("Activate")
    page.click("#dialog button:has-text('Activate')")
    expect(page.locator("body")).to_contain_text("is activated")
    assert call(product, second) == (200, "")


def test_the_list_is_narrowed_by_its_filters(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/")
    page.click("text=Filters >> visible=true")
    page.select_option("select[name=status]", "inactive")
    page.wait_for_timeout(300)
    visitor.picture("filters")
    page.click("button:has-text('Apply')")
    page.wait_for_url("**status=inactive**")

    rows = page.locator("#result_list tbody tr")
    assert rows.count() == 2
    expect(page.locator("#result_list")).to_contain_text("Contractor Laptop")
    expect(page.locator("#result_list")).not_to_contain_text("Billing Sync")


def test_many_keys_are_revoked_in_one_go(visitor: Visitor, product: Latchkey) -> None:
    name = f"Spare {visitor.look}"
    for _ in range(2):
        product.manage("create_api_key", name, "--environment", "production")
    page = visitor.page
    visitor.open(f"apikeys/apikey/?q={name}&status=active")
    boxes = page.locator("#result_list tbody input[type=checkbox]")
    assert boxes.count() == 2
    for number in range(2):
        boxes.nth(number).check()
    page.select_option("select[name=action]", "revoke_selected")
    page.click("button:has-text('Continue')")
    page.wait_for_selector("[name=reason]")
    visitor.picture("revoke-many")
    page.fill("[name=reason]", "Spring cleaning")
    page.click("button:has-text('Revoke 2 keys')")

    expect(page.locator("body")).to_contain_text("2 keys were revoked")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("apikeys/event/", "audit"),
        ("customers/customer/", "customers"),
        ("customers/customer/add/", "create-customer"),
        ("auth/user/", "staff"),
        ("customers/license/", "licenses"),
        ("customers/license/add/", "create-license"),
        ("customers/telemetryevent/", "telemetry"),
        ("auth/user/add/", "create-staff"),
    ],
)
def test_the_other_pages_open_and_fit(visitor: Visitor, path: str, name: str) -> None:
    visitor.open(path)

    visitor.picture(name)


def test_a_customers_page_has_all_that_is_its_own(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("customers/customer/?q=Fabrikam Robotics&environment__exact=production")
    page.click("#result_list tbody tr th a")
    shown = {
        "Licenses": "Platform Pro",
        "Scoped keys": "Fabrikam Partner Portal",
        "Telemetry": "All telemetry",
        "Requests": "All requests",
        "Jobs": "All jobs",
    }
    for tab, text in shown.items():
        page.click(f"[role=tab]:text-is('{tab}')")
        expect(
            page.locator(f"[role=tabpanel] >> text={text} >> visible=true").first
        ).to_be_visible()
        visitor.picture(f"customer-{tab.lower().replace(' ', '-')}")

    page.click("[role=tab]:text-is('Licenses')")
    page.click("[role=tabpanel] >> text=Platform Pro")
    expect(page.locator("text=Machines")).to_be_visible()
    visitor.picture("license")


def test_the_documentation_lets_a_person_try_a_key_without_a_network(
    browser: Browser, product: Latchkey
) -> None:
    made = product.create_key(environment="staging")
    visitor = Visitor(browser, product, "light", 1280)
    page = visitor.page
    page.goto(f"{product.url}/api/docs")
    expect(page.locator("body")).to_contain_text("List customers")
    visitor.picture("docs")

    page.click("button.authorize")
    page.locator(".auth-container input").first.fill(made["key"])
    page.locator(".auth-container button.authorize").first.click()
    page.click(".btn-done >> nth=0")
    operation = page.locator(".opblock").filter(has=page.locator("[data-path$='/v1/key']"))
    operation.locator(".opblock-summary").click()
    operation.locator("text=Try it out").click()
    operation.locator("select").first.select_option("staging")
    operation.locator("button.execute").click()

    expect(operation.locator(".live-responses-table")).to_contain_text(made["id"])
    visitor.picture("docs-tried")
    visitor.context.close()
    assert visitor.troubles == []


def test_a_dialog_says_why_nothing_came_of_it_and_keeps_what_was_typed(
    visitor: Visitor, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key()
    visitor.open(f"apikeys/apikey/{made['id']}/change/")
    visitor.act("Revoke")
    page.fill("[name=reason]", "Laptop reported stolen")

    database = product.folder / "latchkey.sqlite3"
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        page.click("#dialog button:has-text('Revoke')")
        # A page waits 8 s for the database.
        alert = page.locator("#dialog-form [role=alert]")
        expect(alert).to_contain_text("What you typed is kept", timeout=15_000)
        visitor.picture("refused-by-an-outage")
    assert page.input_value("[name=reason]") == "Laptop reported stolen"
    page.click("#dialog button:has-text('Revoke')")
    expect(page.locator("body")).to_contain_text("is revoked")


def test_a_dialog_says_that_its_visitor_was_logged_out(visitor: Visitor, product: Latchkey) -> None:
    made = product.create_key()
    visitor.open(f"apikeys/apikey/{made['id']}/change/")
    visitor.context.clear_cookies()

    if visitor.is_narrow:
        visitor.page.click("text=more_horiz")
    visitor.page.click("a:has-text('Revoke') >> visible=true")

    notice = visitor.page.locator("#modal-content [role=alert]")
    expect(notice).to_contain_text("no longer logged in")
    visitor.picture("refused-logged-out")


def test_an_address_that_is_none_says_so_in_words(visitor: Visitor) -> None:
    visitor.open("nowhere/")

    visitor.picture("not-found")
    assert "no page at this address" in visitor.page.inner_text("main")
    visitor.page.click("main a:has-text('Overview')")
    visitor.page.wait_for_url("**/admin/")


def test_a_dialog_has_the_keyboard_while_it_is_open(visitor: Visitor, product: Latchkey) -> None:
    page, made = visitor.page, product.create_key()
    visitor.open(f"apikeys/apikey/{made['id']}/change/")
    if visitor.is_narrow:
        page.click("text=more_horiz")
    page.focus("a:has-text('Revoke') >> visible=true")

    def focused() -> str:
        script = "document.activeElement.name || document.activeElement.textContent.trim()"
        return str(page.evaluate(script))

    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog[role=dialog][aria-modal=true]")
    page.wait_for_function("document.activeElement.name === 'reason'")
    stops = []
    for _ in range(5):
        stops.append(focused())
        page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.activeElement.closest('#dialog')")

    assert stops[0] == stops[4] == "reason"
    assert len(set(stops)) == 4
    assert "Revoke" in focused()


def test_the_page_of_a_person_fits_and_saves_as_it_stands(visitor: Visitor) -> None:
    visitor.open("auth/user/")
    visitor.page.click("#result_list tbody th a")
    visitor.page.wait_for_selector("[name=username]")

    visitor.picture("person")
    visitor.page.click("button:has-text('Save') >> nth=0")
    expect(visitor.page.locator("body")).to_contain_text("was changed successfully")


def test_the_form_of_a_new_key_warns_of_a_known_name_and_a_key_open_to_all(
    visitor: Visitor, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key()
    visitor.open("apikeys/apikey/add/")
    warning = page.locator("text=This production key never expires")
    expect(warning).to_be_hidden()
    page.fill("[name=name]", made["name"])
    page.check("[name=environment][value=production]")

    expect(page.locator("main [role=status]")).to_contain_text(made["id"])
    expect(warning).to_be_visible()
    visitor.picture("create-hints")
    page.fill("[name=networks]", "203.0.113.0/24")
    expect(warning).to_be_hidden()
