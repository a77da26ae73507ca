"""Lists stay lists, however long the names in them, and whatever is ticked."""

import time

import pytest
from playwright.sync_api import expect

from tests.support.product import Latchkey
from tests.support.visitor import Visitor

LONG = "Nospaces" * 25
LISTS = {
    "keys": "apikeys/apikey/?q=Nospaces",
    "permissions": "apikeys/custompermission/?q=Nospaces",
    "audit": "audit/event/?q=Nospaces",
    "services": "gateway/service/?q=Nospaces",
    "customers": "customers/customer/?q=Nospaces",
    "licenses": "customers/license/?q=Nospaces",
    "telemetry": "customers/telemetryevent/",
    "jobs": "jobs/job/",
    "logs": "logs/requestlog/",
    "staff": "auth/user/",
    "roles": "auth/group/",
}


@pytest.fixture(scope="session")
def crowded(product: Latchkey) -> dict[str, str]:
    """Rows of everything whose names are as long as they may be; returns their pages."""
    made = product.create_key()
    granted = ("customers:write", "licenses:manage", "telemetry:write", "jobs:run")
    options = [part for permission in granted for part in ("--add-permission", permission)]
    done = product.manage("update_api_key", made["id"], "--name", LONG[:100], *options)
    assert done.returncode == 0, done.stderr
    revoked = product.manage("revoke_api_key", made["id"], "--reason", LONG)
    activated = product.manage("activate_api_key", made["id"])
    assert revoked.returncode == activated.returncode == 0
    service = product.manage("create_service", "s" * 40, "--description", LONG, "--json")
    assert service.returncode == 0, service.stderr
    made_permission = product.manage(
        "create_permission", f"{'n' * 40}:{'p' * 40}", "--label", LONG[:100], "--description", LONG
    )
    assert made_permission.returncode == 0, made_permission.stderr
    person = product.manage(
        "createsuperuser", "--noinput", "--username", LONG[:150],
        "--email", f"{LONG[:60]}@{LONG[:60]}.example",
        DJANGO_SUPERUSER_PASSWORD="a password for the tests",
    )  # fmt: skip
    assert person.returncode == 0, person.stderr
    base = "/api/production/v1"
    with product.caller(made["key"]) as http:
        customer = http.post(
            f"{base}/customers",
            json={"name": LONG, "external_reference": LONG[:100],
                  "email": f"{LONG[:60]}@{LONG[:60]}.example"},
        ).json()["id"]  # fmt: skip
        body = {"customer": customer, "product": LONG[:100], "seats": 1}
        license_ = http.post(f"{base}/licenses", json=body).json()["id"]
        event = {"customer": customer, "type": "n" * 100, "occurred_at": "2026-01-01T00:00:00Z",
                 "properties": {"note": LONG}}  # fmt: skip
        assert http.post(f"{base}/telemetry", json=event).status_code in {200, 201, 202}
        body = {"type": "test.count", "params": {"steps": 1, "seconds": 0}}
        assert http.post(f"{base}/jobs", json=body).status_code == 202
        assert http.patch(f"{base}/customers/{customer}", json={"name": LONG}).status_code == 200
    time.sleep(1.5)
    return {
        "long-key": f"apikeys/apikey/{made['id']}/change/",
        "long-customer": f"customers/customer/{customer}/change/",
        "long-license": f"customers/license/{license_}/change/",
        "long-overview": "",
    }


@pytest.mark.parametrize("name", LISTS)
def test_a_long_name_hides_no_column(visitor: Visitor, crowded: dict[str, str], name: str) -> None:
    page = visitor.page
    visitor.open(LISTS[name])

    visitor.picture(f"long-{name}")
    if not visitor.is_narrow:
        edges = page.eval_on_selector_all(
            "#result_list thead th",
            "heads => heads.map(head => head.getBoundingClientRect().right)",
        )
        assert len(edges) > 1
        assert max(edges) <= 1280
    cells = page.eval_on_selector_all(
        "#result_list tbody :is(td, th)",
        "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1"
        " || cell.scrollHeight > cell.clientHeight + 1)"
        ".map(cell => cell.className)",
    )
    assert cells == []


def test_a_name_that_is_cut_short_is_told_whole(visitor: Visitor, crowded: dict[str, str]) -> None:
    visitor.open(LISTS["customers"])
    name = visitor.page.locator("#result_list .field-name a")

    name.hover()

    expect(name).to_have_attribute("title", LONG)


def test_a_long_name_pushes_nothing_off_a_page(visitor: Visitor, crowded: dict[str, str]) -> None:
    for name, path in crowded.items():
        visitor.open(path)
        visitor.picture(name)
    visitor.open(crowded["long-key"])
    visitor.act("Regenerate")
    visitor.page.click("#dialog button:has-text('Regenerate')")
    visitor.page.wait_for_selector("#dialog [data-secret]")
    box = visitor.page.locator("#dialog h1").bounding_box()
    assert box is not None
    visitor.picture("long-dialog")
    assert visitor.page.evaluate(
        "(() => { const box = document.getElementById('modal-content');"
        " return box.scrollWidth <= box.clientWidth; })()"
    )


def test_the_action_bar_covers_no_row(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("apikeys/apikey/")
    page.locator("#result_list tbody input[type=checkbox]").first.check()
    expect(page.locator("#changelist-actions")).to_be_visible()

    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(200)
    is_free = page.evaluate(
        """() => {
            const box = [...document.querySelectorAll("#result_list input[type=checkbox]")].at(-1);
            const row = box.closest("tr").getBoundingClientRect();
            const { left, top, width, height } = box.getBoundingClientRect();
            const hit = document.elementFromPoint(left + width / 2, top + height / 2);
            const bar = document.getElementById("changelist-actions").getBoundingClientRect();
            return hit === box && row.bottom <= bar.top;
        }"""
    )
    visitor.picture("ticked")

    assert is_free
