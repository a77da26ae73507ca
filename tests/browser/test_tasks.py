"""What people come for takes few clicks; what is typed, pasted or confirmed by Enter counts none.

``TASKS`` at the end is the table of all ten.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.product import Latchkey
from tests.support.visitor import LOOKS, Visitor


class Clicks:
    """Clicks and counts; one more than allowed fails the test."""

    def __init__(self, page: Page, allowed: int) -> None:
        self.page, self.allowed, self.count = page, allowed, 0

    def on(self, selector: str, *, within: Locator | None = None) -> None:
        self.count += 1
        assert self.count <= self.allowed, f"{selector} is click {self.count} of {self.allowed}"
        (within or self.page).locator(f"{selector} >> visible=true").first.click()

    def choose(self, selector: str, value: str) -> None:
        """Choose from a drop-down list: one click opens it, another takes the option."""
        self.count += 1
        self.on(selector)
        self.page.select_option(selector, value)


def call(product: Latchkey, credential: str, times: int = 1) -> httpx.Response:
    with product.caller(credential) as http:
        for _ in range(times):
            answer = http.get("/api/production/v1/customers")
    return answer


def create_and_copy_a_key(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open("")

    clicks.on("#nav-sidebar a:has-text('API Keys')")
    clicks.on("a:has-text('Create API Key')")
    page.fill("[name=name]", "Six clicks")
    clicks.on("label:has([name=environment][value=production])")
    clicks.on("label:has([value='customers:read'])")
    clicks.on("button:has-text('Create API Key')")
    clicks.on("button:has-text('Copy key')")

    expect(page.locator("[data-copy=latchkey-credential]")).to_contain_text("Copied")
    assert call(product, page.evaluate("navigator.clipboard.readText()")).status_code == 200


def raise_a_limit_after_a_429(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    page = visitor.page
    made = product.create_key("--permission", "customers:read", "--per-minute", "12")
    refused = call(product, made["key"], times=31)
    assert refused.status_code == 429
    time.sleep(1.5)
    visitor.open(f"logs/requestlog/{refused.headers['x-request-id']}/change/")

    clicks.on("a:has-text('Raise 12 per minute (peak 31)')")
    visitor.picture("raise-a-limit")
    clicks.on("main button[type=submit]")

    expect(page.locator("body")).to_contain_text("changed")
    assert call(product, made["key"], times=5).status_code == 200


def regenerate_with_overlap(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    made = product.create_key("--permission", "customers:read")
    call(product, made["key"])
    time.sleep(1.5)
    visitor.open(f"apikeys/apikey/?q={made['id']}")

    clicks.on("#result_list tbody th a")
    clicks.on("a:has-text('Regenerate')")
    clicks.on("#dialog button[type=submit]")
    clicks.on("#dialog button:has-text('Copy key')")

    second = visitor.shown_credential()
    assert {call(product, key).status_code for key in (made["key"], second)} == {200}
    visitor.page.click("text=I have copied it")


def revoke_twenty_keys(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    for _ in range(20):
        product.manage("create_api_key", "Twenty of them", "--environment", "production")
    page = visitor.page
    visitor.open("apikeys/apikey/?q=Twenty of them")

    clicks.on("#action-toggle")
    clicks.choose("select[name=action]", "revoke_selected")
    clicks.on("button:has-text('Continue')")
    page.fill("[name=reason]", "Spring cleaning")
    clicks.on("button:has-text('Revoke 20 keys')")

    expect(page.locator("body")).to_contain_text("20 keys were revoked")


def narrow_a_key_to_two_customers(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    page, made = visitor.page, product.create_key("--permission", "customers:read")
    visitor.open(f"apikeys/apikey/{made['id']}/change/")

    clicks.on("#content-main nav >> text=Settings")
    clicks.on("label:has([value=selected])")
    clicks.on(".select2-selection")
    for name in ("Fabrikam Robotics", "Northwind Traders"):
        page.keyboard.type(name)
        expect(page.locator(".select2-results__option--highlighted")).to_contain_text(name)
        page.keyboard.press("Enter")
    clicks.on("button:has-text('Save changes')")

    expect(page.locator("body")).to_contain_text("changed successfully")
    assert len(call(product, made["key"]).json()["data"]) == 2


def see_who_revoked_a_key(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    made = product.create_key()
    product.manage("revoke_api_key", made["id"], "--reason", "Laptop stolen")

    visitor.open(f"apikeys/apikey/{made['id']}/change/")

    verdict = visitor.page.locator(".latchkey-verdict")
    expect(verdict).to_be_in_viewport()
    expect(verdict).to_contain_text("Revoked by")
    expect(verdict).to_contain_text("Laptop stolen")


def see_why_a_request_was_refused(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    """A caller sends the id of a refused request: paste it, anywhere on any page."""
    made = product.create_key("--permission", "jobs:run")
    refused = call(product, made["key"])
    assert refused.status_code == 403
    time.sleep(1.5)
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open("customers/customer/")
    visitor.page.evaluate("id => navigator.clipboard.writeText(id)", refused.json()["request_id"])

    visitor.page.keyboard.press("Control+v")
    expect(visitor.page.get_by_role("option")).to_have_count(1)
    visitor.page.keyboard.press("Enter")

    why = visitor.page.locator("#explanation")
    expect(why).to_be_in_viewport()
    expect(why).to_contain_text("permission")
    expect(visitor.page.locator("a:has-text('Grant customers:read')").first).to_be_visible()


def see_the_keys_unused_for_90_days(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    visitor.open("")

    clicks.on("main a:has-text('Not used for 90 days')")

    # What stopped being used comes first: the demo's key that nobody has used for months.
    first = visitor.page.locator(".latchkey-queue tbody tr").first
    expect(first).to_be_in_viewport()
    expect(first).to_contain_text("Not used for")


def see_unused_permissions(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    visitor.open("")

    clicks.on("main a:has-text('Unused permissions')")

    expect(visitor.page.locator("h2").first).to_have_text("Unused permissions")


def follow_a_job(clicks: Clicks, visitor: Visitor, product: Latchkey) -> None:
    granted = ("--permission", "jobs:run", "--permission", "customers:write")
    with product.caller(product.create_key(*granted)["key"]) as http:
        body = {"type": "test.count", "params": {"steps": 60, "seconds": 0.1}}
        job = http.post("/api/production/v1/jobs", json=body).json()["id"]
    visitor.open("")

    clicks.on("#nav-sidebar a:has-text('Jobs')")
    clicks.on(f"#result_list a[href*='{job}']")

    progress = visitor.page.locator("[data-live=progress]")
    expect(progress).to_contain_text("of 60", timeout=20_000)
    expect(progress).not_to_have_text(progress.inner_text(), timeout=10_000)


Do = Callable[[Clicks, Visitor, Latchkey], None]


class Task(NamedTuple):
    """What somebody wants to have done, and the clicks that it may take."""

    clicks: int
    do: Do


TASKS = (
    Task(6, create_and_copy_a_key),
    Task(1, see_the_keys_unused_for_90_days),
    Task(1, see_why_a_request_was_refused),
    Task(3, raise_a_limit_after_a_429),
    Task(4, regenerate_with_overlap),
    Task(5, revoke_twenty_keys),
    Task(1, see_unused_permissions),
    Task(2, follow_a_job),
    Task(4, narrow_a_key_to_two_customers),
    Task(0, see_who_revoked_a_key),
)


@pytest.mark.parametrize("visitor", LOOKS[:1], indirect=True, ids=["wide"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.do.__name__)
def test_it_takes_few_clicks(task: Task, visitor: Visitor, product: Latchkey) -> None:
    task.do(Clicks(visitor.page, task.clicks), visitor, product)
