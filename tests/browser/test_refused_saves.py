"""A save that was refused looks like one: above everything, in the title, and at the field."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

# The list to open the first row of, what is typed, the field that is wrong.
FORMS: list[tuple[str, dict[str, str], str]] = [
    ("apikeys/apikey/", {"name": "Unsaved", "limit_minute": "-1"}, "limit_minute"),
    ("customers/customer/", {"name": "Unsaved", "email": "no mail"}, "email"),
    ("customers/license/", {"product": "Unsaved", "seats": "0"}, "seats"),
    ("auth/user/", {"username": "Unsaved", "email": "no mail"}, "email"),
]


def expect_a_refusal(visitor: Visitor, says: str) -> None:
    page = visitor.page
    alert = page.locator("#content [role=alert]")
    expect(alert).to_contain_text(says)
    expect(alert).to_contain_text("Nothing was saved")
    expect(alert).to_be_in_viewport()
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") == 0
    assert page.title().startswith("Error: ")
    assert "Unsaved" not in page.title()
    assert "Unsaved" not in page.inner_text("h1")


def focused(visitor: Visitor) -> Any:
    return visitor.page.evaluate("document.activeElement.name || document.activeElement.role")


@pytest.mark.parametrize(("path", "typed", "wrong"), FORMS, ids=[path for path, _, _ in FORMS])
def test_a_refused_save_says_so_at_the_top_and_goes_to_the_field(
    visitor: Visitor, path: str, typed: dict[str, str], wrong: str
) -> None:
    page = visitor.page
    visitor.open(path)
    page.click("#result_list tbody th a")
    if path == "apikeys/apikey/":
        page.click("#content-main nav >> text=Settings")
    for name, value in typed.items():
        page.fill(f"#content-main form [name={name}]", value)
    page.click("#submit-row button >> nth=0")

    page.wait_for_selector("[aria-invalid=true]")
    expect_a_refusal(visitor, page.locator(f"label[for=id_{wrong}]").inner_text().strip(" *:"))
    assert focused(visitor) == wrong
    assert page.input_value(f"[name={next(iter(typed))}]") == "Unsaved"
    visitor.picture(f"refused-{path.split('/')[1]}")


def test_a_save_that_somebody_was_faster_with_says_so_at_the_top(
    visitor: Visitor, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key()
    visitor.open(f"apikeys/apikey/{made['id']}/change/?tab=settings")
    done = product.manage("update_api_key", made["id"], "--per-minute", "5")
    assert done.returncode == 0
    page.fill("[name=name]", "Unsaved")

    page.click("text=Save changes")

    expect(page.locator("[role=alert]")).to_contain_text("The key was changed by")
    expect_a_refusal(visitor, "Reload it and try again")
    assert focused(visitor) == "alert"
    visitor.picture("refused-stale")


def test_a_new_thing_that_is_refused_says_so_at_the_top(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("customers/customer/add/")
    page.fill("[name=email]", "no mail")

    page.click("#submit-row button >> nth=0")

    page.wait_for_selector("[aria-invalid=true]")
    expect_a_refusal(visitor, "Name: This field is required.")
    assert focused(visitor) == "name"


def test_the_picker_of_a_key_offers_customers_of_its_environment(
    visitor: Visitor, product: Latchkey
) -> None:
    page, made = visitor.page, product.create_key(environment="staging")
    visitor.open(f"apikeys/apikey/{made['id']}/change/?tab=settings")
    page.check("[value=selected]")
    page.click(".select2-selection")
    page.keyboard.type("Northwind")

    expect(page.locator(".select2-results__option")).to_have_text(["Northwind Traders (staging)"])
    visitor.picture("picker")
