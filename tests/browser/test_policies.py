"""The API's documents in a browser, under a policy that allows no script or style in the page."""

from typing import Any

from playwright.sync_api import Browser

from tests.support.product import Latchkey
from tests.support.visitor import Visitor


def test_the_documents_of_the_api_call_it_and_leave_the_console_empty(
    browser: Browser, product: Latchkey
) -> None:
    key = product.create_key(environment="development")
    person = Visitor(browser, product, "light", 1280)
    written: list[Any] = []
    person.page.on("console", lambda message: written.append(message.text))
    page = person.page

    page.goto(f"{product.url}/api/docs")
    page.click(".auth-wrapper .authorize")
    page.fill(".auth-container input >> nth=0", key["key"])
    page.click(".auth-btn-wrapper .authorize >> nth=0")
    page.click(".btn-done")
    operation = page.locator(".opblock", has_text="/api/{environment}/v1/key").first
    operation.locator(".opblock-summary-control").click()
    operation.locator(".try-out__btn").click()
    operation.locator(".execute").click()
    operation.locator(".live-responses-table td.response-col_status:not(.col_header)").wait_for()

    assert key["id"] in operation.locator(".live-responses-table").inner_text()
    assert written == []
    assert person.troubles == []
    person.context.close()


def test_a_script_that_got_into_a_page_does_not_run(
    browser: Browser, product: Latchkey, session: Any
) -> None:
    person = Visitor(browser, product, "light", 1280)
    person.begin(session)
    person.open("")

    person.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.stolen = 1";
            document.body.append(script);
            const picture = "<img src='data:,' onerror='stolen = 1'>";
            document.body.insertAdjacentHTML("beforeend", picture);
        }"""
    )
    person.page.wait_for_timeout(200)

    assert person.page.evaluate("window.stolen") is None
    assert all("Content Security Policy" in trouble for trouble in person.troubles)
    assert len(person.troubles) == 2
    person.context.close()
