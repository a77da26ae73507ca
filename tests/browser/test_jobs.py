"""A job that runs, as people watch it."""

import re

import httpx
from playwright.sync_api import expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor


def test_a_running_job_is_watched_and_cancelled(visitor: Visitor, product: Latchkey) -> None:
    granted = ("--permission", "jobs:run", "--permission", "customers:write")
    made = product.create_key(*granted)
    headers = {"Authorization": f"Bearer {made['key']}"}
    body = {"type": "test.count", "params": {"steps": 500, "seconds": 0.1}}
    asked = httpx.post(f"{product.url}/api/production/v1/jobs", json=body, headers=headers)
    job, page = asked.json()["id"], visitor.page

    visitor.open(f"jobs/job/?q={job}")
    text = page.locator(f"[data-job='{job}'] small")
    expect(text).to_have_text(re.compile(r"\d+ of 500"), timeout=20_000)
    # Without a reload.
    expect(text).not_to_have_text(text.inner_text(), timeout=10_000)
    visitor.picture("jobs")

    # From the overview with two clicks, and one for the menu where that is closed.
    visitor.open("")
    if visitor.is_narrow:
        page.click("#menu-button")
    page.click("#nav-sidebar a:has-text('Jobs')")
    page.click(f"#result_list a[href*='{job}'] >> visible=true")
    expect(page.locator(".latchkey-job-status")).to_have_text("Running")
    expect(page.locator("text=Attempt 1")).to_be_visible()
    # Time and what is left of it, as they pass.
    timing = page.locator("[data-live=timing]")
    expect(timing).to_have_text(re.compile("Running for .+ left"), timeout=20_000)
    expect(timing).not_to_have_text(timing.inner_text(), timeout=10_000)
    visitor.picture("job")

    visitor.act("Cancel")
    page.click("#dialog button[type=submit] >> visible=true")
    # The page notices by itself that the job is over.
    expect(page.locator(".latchkey-job-status")).to_have_text("Cancelled", timeout=15_000)
    visitor.picture("job-cancelled")
