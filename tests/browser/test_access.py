"""Every page of the admin, as axe-core judges it: light and dark, wide and narrow.

The pages are the admin's own addresses and what they link to, so a new page is judged without a
line here. Each is opened once. ``make test-access`` runs this.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import urljoin

import pytest
from django.contrib import admin
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve, reverse
from httpx import Client
from playwright.sync_api import Browser, Page

from apikeys.permissions import Permission
from tests.support.product import LOTS, Latchkey
from tests.support.proxy import forwarded
from tests.support.servers import wait_until
from tests.support.services import NODE_MODULES, program

pytestmark = pytest.mark.npm

LINK = re.compile(r"(href|hx-get)=\"([?/][^\"#]*)")
# Of each query, only what makes it another page.
TAB = re.compile(r"[?&]((?:tab|dismissed)=\w+)")
ERROR_PAGES = ("/admin/nowhere/", "/admin/apikeys/apikey/nobody/change/")
# For those who are not signed in; and public, so that the menu links to it.
PUBLIC_PAGES = ("/admin/login/", "/api/docs")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What a change of colours can break, and nothing else.
COLOURS = ["color-contrast", "link-in-text-block"]
STILL = "*, ::before, ::after { transition: none !important; animation: none !important }"
WIDE, NARROW = (1280, 900), (390, 844)
# 200 % of a window of 1280, and the narrowest that WCAG 1.4.10 names.
REFLOWS = (640, 320)
ASK = """async ([context, options]) => (await axe.run(context, options)).violations.flatMap(rule =>
    rule.nodes.map(node => `${rule.id} (${node.impact}): ${node.target} ${
        [...node.any, ...node.all, ...node.none].map(check => check.message).join(' ')}`))"""
# The dialog before it is still there.
OPEN = """link => {
    document.querySelector('#dialog')?.remove();
    document.querySelector(`[hx-get='${link}']`).click();
}"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PRINTED = """[...document.querySelectorAll('#nav-sidebar, header, button, [type=submit]')]
    .filter(part => part.checkVisibility()).map(part => part.outerHTML.slice(0, 80))"""


class Place(NamedTuple):
    """A page, the dialog that a link on it opens, or the answer to a form that a script sends."""

    address: str
    dialog: str = ""
    sends: str = ""


# Forms that are sent as they are, but for a name or a choice.
SEND = "document.querySelector('form:has([name=name])').submit()"
NAME = "document.querySelector('form [name=name]').value = 'New';"
SELECT = """document.querySelectorAll('.action-select').forEach(box => box.checked = true);
    document.querySelector('[name=action]').value = '%s';
    document.querySelector('#changelist-form').submit()"""
KEYS, NEW_KEY = "/admin/apikeys/apikey/", "/admin/apikeys/apikey/add/"
# What only a form leads to: the secret of a new key, errors, and pages that confirm an action.
ANSWERS = {
    "a new key": Place(NEW_KEY, sends=NAME + SEND),
    "a refused key": Place(NEW_KEY, sends=SEND),
    "keys to revoke": Place(KEYS, sends=SELECT % "revoke_selected"),
    "jobs to cancel": Place("/admin/jobs/job/", sends=SELECT % "cancel_selected"),
}


class Seen(NamedTuple):
    """The kinds of pages, and what was found on them, a line each."""

    kinds: list[str]
    findings: list[str]
    overflows: list[str]
    printed: list[str]


@pytest.fixture(scope="module")
def seen(browser: Browser, product: Latchkey, session: Any) -> Seen:
    """What is found on one page of each kind."""
    program("npm packages")
    person = product.visitor()
    places = pages_of(person, fill(product, person)) | ANSWERS
    seen = Seen(list(places), [], [], [])
    axe = (NODE_MODULES / "axe-core/axe.min.js").read_text()
    context = browser.new_context(storage_state=session, bypass_csp=True)
    page = context.new_page()
    # Dialogs of one page follow each other, and those who are not signed in come last.
    order = sorted(places.items(), key=lambda item: (item[1].address in PUBLIC_PAGES, item[1]))
    for name, place in order:
        if place.address in PUBLIC_PAGES:
            context.clear_cookies()
        judge(page, product.url, name, place, axe, seen)
    context.close()
    return seen


def fill(product: Latchkey, person: Client) -> list[Place]:
    """Make rows of what the demo data has none of; return the pages that show the most."""
    product.guard("orders", "GET /v1/** orders:read")
    permissions = set(Permission) - {Permission.CUSTOMERS_WRITE}
    granted = [word for permission in permissions for word in ("--permission", permission.value)]
    made = product.create_key(*granted, *LOTS)
    job = {"type": "test.count", "params": {"steps": 5000, "seconds": 0.1}}
    with product.caller(made["key"]) as caller:
        caller.get("/auth/production/orders/", headers=forwarded("/v1/a"))
        started = caller.post("/api/production/v1/jobs", json=job)
        customer, issued = (
            caller.get(f"/api/production/v1/{rows}?limit=1").json()["data"][0]["id"]
            for rows in ("customers", "licenses")
        )
        refused = caller.post("/api/production/v1/customers", json={"name": "Acme"})
    revoked = product.create_key()["id"]
    assert product.manage("revoke_api_key", revoked).returncode == 0
    changed = product.manage("update_api_key", made["id"], "--name", "Test of pages")
    assert (started.status_code, refused.status_code, changed.returncode) == (202, 403, 0)
    saved = {"name": "In use", "query": "status=active"}
    token = {"csrfmiddlewaretoken": person.cookies["csrftoken"]}
    address = reverse("admin:saved_filter_save", args=("apikeys_apikey",))
    assert person.post(address, data=saved | token).status_code == 302
    dismissed = f"{KEYS}dismiss/?finding=no-expiry&key={made['id']}"
    shown = re.search(r'name="shown" value="([^"]+)"', person.get(dismissed).text)
    assert shown
    answers = {"shown": shown[1], "reason": "Test of pages", "until": "30d"}
    assert person.post(dismissed, data=answers | token).status_code == 302
    request = f"/admin/logs/requestlog/{refused.headers['x-request-id']}/change/"
    wait_until(lambda: person.get(request).status_code == 200)
    running = f"/admin/jobs/job/{started.json()['id']}/"
    return [
        Place(f"{KEYS}?status=active"),
        Place(f"{KEYS}{made['id']}/change/"),
        Place(f"{KEYS}propose/?key={made['id']}&remove_unused=1&limit_minute=5"),
        Place(f"{KEYS}edit/?key={made['id']}"),
        Place(f"{KEYS}dismiss/?finding=no-network&key={made['id']}"),
        Place("/admin/review/no-expiry/?dismissed=1"),
        Place(f"{KEYS}{revoked}/change/", f"{KEYS}{revoked}/activate/"),
        Place("/admin/review/no-expiry/"),
        Place("/admin/search/?q=Test"),
        Place(request),
        Place(f"{running}change/"),
        Place(f"{running}change/", f"{running}cancel/"),
        Place(f"/admin/customers/customer/{customer}/change/"),
        Place(f"/admin/customers/license/{issued}/change/"),
    ]


def routes(resolver: Any = None, prefix: str = "/") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("/admin/"):
            yield path


def kind(address: str) -> str:
    """Name the kind of page at an address; all rows of a model have the same."""
    path, _, query = address.partition("?")
    tab = TAB.search(f"?{query}")
    return resolve(path).route + (f" {tab[1]}" if tab else "")


def pages_of(person: Client, known: list[Place]) -> dict[str, Place]:
    """Return a page of each kind: the known, those without a row in their address, the linked."""
    bare = [route for route in routes() if not re.search(r"[<(]", route)]
    waiting = [*known, *map(Place, bare)]
    waiting = [place for place in waiting if place.address not in PUBLIC_PAGES]
    pages: dict[str, Place] = {}
    asked = set()
    for place in waiting:
        asked_for = place.dialog or place.address
        try:
            name = kind(asked_for)
        except Resolver404:
            continue
        if name in asked or not asked_for.startswith("/admin/"):
            continue
        asked.add(name)
        answer = person.get(asked_for)
        if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
            continue
        if place.dialog and 'id="dialog"' in answer.text:
            pages[name] = place
        elif "<html" in answer.text:
            pages[name] = Place(asked_for)
            # ``for`` goes on with what is appended.
            for attribute, link in sorted(LINK.findall(answer.text), reverse=True):
                address = urljoin(asked_for, unescape(link))
                is_dialog = attribute == "hx-get"
                waiting.append(Place(asked_for, address) if is_dialog else Place(address))
    return pages | {address: Place(address) for address in (*ERROR_PAGES, *PUBLIC_PAGES)}


def judge(page: Page, url: str, name: str, place: Place, axe: str, seen: Seen) -> None:
    """Open a page and change its size and colours; note what is found."""
    page.emulate_media(media="screen", color_scheme="light")
    size(page, *WIDE)
    if page.url != url + place.address or not place.dialog:
        page.goto(url + place.address)
        if place.sends:
            with page.expect_navigation():
                page.evaluate(place.sends)
        if place.address == "/api/docs":
            page.locator(".opblock").first.wait_for()
        page.add_style_tag(content=STILL)
        page.evaluate(axe)
    if place.dialog:
        page.evaluate(OPEN, place.dialog)
        page.locator("#dialog").wait_for()
    context = "#modal-content" if place.dialog else ":root"
    ask(page, f"{name} light 1280", seen, context, TAGS)
    page.emulate_media(color_scheme="dark")
    page.evaluate(
        "document.documentElement.classList.replace('light', 'dark')"
        " || document.documentElement.classList.add('dark')"
    )
    ask(page, f"{name} dark 1280", seen, context, COLOURS)
    size(page, *NARROW)
    ask(page, f"{name} dark 390", seen, context, TAGS)
    page.emulate_media(color_scheme="light")
    page.evaluate("document.documentElement.classList.remove('dark')")
    ask(page, f"{name} light 390", seen, context, COLOURS)
    for width in REFLOWS:
        size(page, width, NARROW[1])
        if page.evaluate(TOO_WIDE) > 0:
            # Charts follow their window a moment later.
            page.wait_for_timeout(500)
        overflow = page.evaluate(TOO_WIDE)
        if overflow > 0:
            seen.overflows.append(f"{name} is {overflow} px too wide at {width}")
    page.emulate_media(media="print")
    if name != "/api/docs" and not place.dialog:
        seen.printed.extend(f"{name}: {part}" for part in page.evaluate(PRINTED))


def size(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})


def ask(page: Page, name: str, seen: Seen, context: str, rules: list[str]) -> None:
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    found = page.evaluate(ASK, [context, options])
    seen.findings.extend(f"{name}: {finding}" for finding in found)


def test_every_model_s_pages_are_seen(seen: Seen) -> None:
    for model in admin.site._registry:
        start = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert start in seen.kinds
        assert any(kind.startswith(f"{start}<path:object_id>/change/") for kind in seen.kinds), (
            start
        )


def test_axe_finds_nothing(seen: Seen) -> None:
    assert not seen.findings, "\n".join(seen.findings)


def test_no_page_scrolls_sideways(seen: Seen) -> None:
    assert not seen.overflows, "\n".join(seen.overflows)


def test_menus_and_buttons_are_not_printed(seen: Seen) -> None:
    assert not seen.printed, "\n".join(seen.printed)
