"""What a browser transfers for a page: the first time, and once it has the static files."""

from collections import Counter
from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.product import Latchkey


def transferred(page: Page, address: str) -> Counter[str]:
    """Open a page; return the bytes that came over the network, by type of resource."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    kinds: dict[str, str] = {}
    size: Counter[str] = Counter()

    def received(event: Any) -> None:
        kinds[event["requestId"]] = event["type"]

    def finished(event: Any) -> None:
        if event["requestId"] in kinds:
            size[kinds[event["requestId"]]] += int(event["encodedDataLength"])

    network.on("Network.responseReceived", received)
    network.on("Network.loadingFinished", finished)
    page.goto(address, wait_until="networkidle")
    network.detach()
    return +size


def test_the_key_list_is_light(browser: Browser, product: Latchkey, session: Any) -> None:
    context = browser.new_context(storage_state=session)
    page = context.new_page()
    address = f"{product.url}/admin/apikeys/apikey/"

    cold = transferred(page, address)
    warm = transferred(page, address)
    context.close()

    assert cold["Document"] + cold["Stylesheet"] <= 120_000
    assert cold["Script"] <= 150_000
    assert cold["Font"] <= 60_000
    assert 0 < warm.total() <= 25_000
