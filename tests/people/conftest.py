"""A product that trusts an identity provider, on each storage pair."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.product import Latchkey
from tests.support.providers import IdentityProvider
from tests.support.servers import running

HIDDEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Person:
    """Somebody with a browser of two origins: the product's and the provider's."""

    def __init__(self, product: Latchkey, name: str) -> None:
        self.product, self.name = product, name
        self.http = httpx.Client(timeout=20, headers={"User-Agent": "Firefox/140.0 (X11; Linux)"})

    def get(self, path: str) -> httpx.Response:
        return self.http.get(f"{self.product.url}{path}")

    def post(self, path: str, **fields: Any) -> httpx.Response:
        token = {"csrfmiddlewaretoken": self.http.cookies.get("csrftoken", "")}
        return self.http.post(f"{self.product.url}{path}", data=token | fields)

    def leave_for_provider(self) -> httpx.Response:
        """Press the button; return the answer that leads to the provider."""
        self.get("/admin/login/?next=/admin/apikeys/apikey/")
        return self.post("/admin/oidc/begin/", next="/admin/apikeys/apikey/")

    def return_address(self) -> str:
        """Sign in at the provider; return the address that it sends the browser back to."""
        away = self.leave_for_provider()
        assert away.status_code == 200, away.text
        page = self.http.get(away.headers["Refresh"].partition("url=")[2])
        if "/login/" in page.headers.get("Location", ""):
            login = page.url.join(page.headers["Location"])
            page = self.http.post(login, data={"username": self.name})
            page = self.http.get(page.url.join(page.headers["Location"]))
        return str(page.headers["Location"])

    def sign_in(self) -> httpx.Response:
        """Sign in through the provider; return what the product answers at the end."""
        return self.http.get(self.return_address())

    def is_signed_in(self) -> bool:
        return self.get("/admin/").status_code == 200


@pytest.fixture(scope="session")
def provider_and_product(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[IdentityProvider, Latchkey]]:
    """The product on each storage pair, and the provider that it trusts."""
    where: dict[str, str] = {}
    if request.param == "postgres":
        where = {
            "database": request.getfixturevalue("postgres").new_database(),
            "redis": request.getfixturevalue("redis").url,
        }
    product = Latchkey(**where)
    identity_provider = IdentityProvider(f"{product.url}/admin/oidc/callback/")
    product.environment |= identity_provider.settings() | {"TRUSTED_PROXIES": "127.0.0.1/32"}
    with running(identity_provider), running(product):
        yield identity_provider, product
