"""Somebody at a screen, in Debian's Chromium.

With ``LATCHKEY_PICTURES=some`` pictures of every page, wide in light and narrow in dark, are left
in ``test-results``; with ``LATCHKEY_PICTURES=all`` in all four combinations.
"""

import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.product import PASSWORD, Latchkey

PICTURES = Path(__file__).resolve().parent.parent.parent / "test-results"
# Chromium in a closed network would otherwise try to reach its maker at every start.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LOOKS = [("light", 1280), ("dark", 390)]
if os.environ.get("LATCHKEY_PICTURES") == "all":
    LOOKS += [("dark", 1280), ("light", 390)]
CREDENTIAL = re.compile(r"^lk_prod_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$")


def take_picture(page: Page, name: str) -> None:
    """Take a picture of the whole page if pictures are wanted."""
    if os.environ.get("LATCHKEY_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


class Visitor:
    """A person at a screen.

    An error on a page, what its policy forbids, or a request elsewhere fails the test.
    """

    def __init__(self, browser: Browser, product: Latchkey, scheme: str, width: int) -> None:
        self.size = ViewportSize(width=width, height=900 if width > 800 else 844)
        context = browser.new_context(viewport=self.size, color_scheme=scheme)
        self.context, self.product, self.look = context, product, f"{scheme}-{width}"
        self.is_narrow = width < 800
        self.page: Page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.troubles: list[str] = []
        # What a test puts off with ``undo.callback`` until its end.
        self.undo = ExitStack()
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.troubles.append(message.text) if "Content Security" in message.text else None
            ),
        )
        self.page.on(
            "request",
            lambda request: (
                None if request.url.startswith((product.url, "data:")) else
                self.troubles.append(request.url)
            ),
        )  # fmt: skip

    def begin(self, session: Any) -> None:
        """Begin anew in the same tab, which takes a tenth of what a new one does."""
        self.undo.close()
        self.page.unroute_all()
        self.page.goto("about:blank")
        self.context.clear_permissions()
        self.context.clear_cookies()
        self.context.add_cookies(session["cookies"])
        self.page.set_viewport_size(self.size)
        self.page.goto(f"{self.product.url}/healthz")
        self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        self.troubles.clear()

    def open(self, path: str) -> None:
        """Go to a page of the admin."""
        self.page.goto(f"{self.product.url}/admin/{path}")

    def log_in(self) -> None:
        """Enter."""
        self.open("")
        self.picture("login")
        self.page.fill("[name=username]", "admin")
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/admin/")

    def picture(self, name: str) -> None:
        """See that nothing is cut off at the page's side; take a picture if that is wanted."""
        assert self.page.url.startswith("http"), "no page is open yet"
        self.page.wait_for_timeout(200)
        take_picture(self.page, f"{name}-{self.look}")
        overflow = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{name} is {overflow} px too wide at {self.look}"

    def act(self, name: str) -> None:
        """Open a dialog of the key's page."""
        if self.is_narrow:
            self.page.click("text=more_horiz")
        self.page.click(f"a:has-text('{name}') >> visible=true")
        self.page.wait_for_selector("#dialog")
        self.page.wait_for_timeout(300)

    def shown_credential(self) -> str:
        """Return the credential on the page."""
        text = self.page.inner_text("#latchkey-credential")
        assert CREDENTIAL.match(text)
        return text
