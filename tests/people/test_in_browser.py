"""Signing in through the provider, with an authenticator app and with a passkey, in Chromium."""

import re
import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, Page

from tests.support.product import PASSWORD, Latchkey
from tests.support.providers import IdentityProvider
from tests.support.servers import running
from tests.support.visitor import LOOKS, Visitor


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture(scope="module")
def product(provider: IdentityProvider) -> Iterator[Latchkey]:
    """The product under a host name, which passkeys are made for."""
    product = Latchkey()
    product.url = f"http://localhost:{product.port}"
    provider.callbacks = (f"{product.url}/admin/oidc/callback/",)
    product.environment |= provider.settings()
    with running(provider), running(product):
        yield product


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def visitor(
    request: pytest.FixtureRequest, browser: Browser, product: Latchkey
) -> Iterator[Visitor]:
    person = Visitor(browser, product, *request.param)
    yield person
    person.context.close()


def add_authenticator(page: Page) -> None:
    """Give the browser an authenticator of its own, whose user is always there."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def type_password(visitor: Visitor, name: str) -> None:
    visitor.page.fill("[name=username]", name)
    visitor.page.fill("[name=password]", PASSWORD)
    visitor.page.click("#login-form button[type=submit]")


def make_person(product: Latchkey, name: str) -> None:
    code = (
        "from django.contrib.auth.models import User; "
        f"User.objects.create_superuser({name!r}, password={PASSWORD!r})"
    )
    assert product.manage("shell", "-v0", "-c", code).returncode == 0


def test_the_button_leads_through_the_provider_and_back(
    visitor: Visitor, provider: IdentityProvider
) -> None:
    name = f"ada-{visitor.look}"
    provider.know(name, "keys-admins")
    page = visitor.page
    visitor.open("apikeys/apikey/")
    visitor.picture("login-with-provider")

    page.click("text=Sign in with 127.0.0.1")
    page.wait_for_selector("[name=username]:not(#id_username)")
    page.fill("[name=username]", name)
    page.click("button")
    page.wait_for_url("**/admin/apikeys/apikey/")

    assert [trouble for trouble in visitor.troubles if provider.issuer[:-2] not in trouble] == []
    assert page.locator("text=Staff").count() == 0


def test_an_authenticator_app_is_set_up_and_asked_for(visitor: Visitor) -> None:
    name = f"app-{visitor.look}"
    make_person(visitor.product, name)
    page = visitor.page
    visitor.open("security/")
    type_password(visitor, name)
    page.wait_for_url("**/admin/security/")
    visitor.picture("security")
    page.click("text=Set up an authenticator app")
    secret = page.inner_text("#totp-secret").replace(" ", "")
    visitor.picture("set-up-app")
    page.fill("[name=code]", code(secret))
    page.click("text=Set it up")
    codes = re.findall(r"\d{4}-\d{4}", page.inner_text("#recovery-codes"))
    visitor.picture("recovery-codes")
    page.click("text=I have kept them")
    visitor.context.clear_cookies()

    visitor.open("security/")
    type_password(visitor, name)
    page.wait_for_url("**/admin/second-factor/")
    visitor.picture("second-factor")
    page.fill("[name=code]", codes[0])
    page.click("text=Continue")
    page.wait_for_url("**/admin/security/")

    assert "9 left" in page.inner_text("main")
    assert visitor.troubles == []


def test_a_passkey_is_made_and_used(visitor: Visitor) -> None:
    name = f"passkey-{visitor.look}"
    make_person(visitor.product, name)
    page = visitor.page
    add_authenticator(page)
    visitor.open("security/passkey/")
    type_password(visitor, name)
    page.wait_for_url("**/admin/security/passkey/")
    page.fill("[name=name]", "Laptop")
    page.click("text=Make a passkey")
    page.wait_for_selector("#recovery-codes")
    visitor.context.clear_cookies()

    visitor.open("")
    type_password(visitor, name)
    page.wait_for_url("**/admin/second-factor/")
    visitor.picture("second-factor-passkey")
    page.click("text=Use a passkey")
    page.wait_for_url("**/admin/")
    visitor.open("security/")

    assert "Laptop" in page.inner_text("main")
    assert visitor.troubles == []


AGE = """
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
for row in Session.objects.all():
    session = SessionStore(row.session_key)
    session["proved_at"] = 0
    session.save()
"""


def age_proofs(product: Latchkey) -> None:
    """Have everybody have proved long ago who they are."""
    assert product.manage("shell", "-v0", "-c", AGE).returncode == 0


def test_a_form_that_asks_for_a_proof_keeps_what_was_typed(visitor: Visitor) -> None:
    page, product = visitor.page, visitor.product
    visitor.open("apikeys/apikey/add/")
    type_password(visitor, "admin")
    page.wait_for_url("**/admin/apikeys/apikey/add/")
    age_proofs(product)
    page.fill("[name=name]", f"Kept {visitor.look}")
    page.check("[name=environment][value=production]")
    page.click("button:has-text('Create API Key')")
    page.wait_for_selector("[name=proof-password]")
    visitor.picture("proof-on-page")
    name = page.input_value("[name=name]")

    page.fill("[name=proof-password]", PASSWORD)
    page.click("button:has-text('Create API Key')")
    visitor.shown_credential()

    assert name == f"Kept {visitor.look}"
    assert visitor.troubles == []


def test_a_dialog_that_asks_for_a_proof_goes_on_with_it(visitor: Visitor) -> None:
    page, product = visitor.page, visitor.product
    key = product.create_key()
    visitor.open(f"apikeys/apikey/{key['id']}/change/")
    type_password(visitor, "admin")
    page.wait_for_url("**/change/")
    age_proofs(product)
    visitor.act("Regenerate")
    page.check("[name=overlap][value='3600']")
    page.click(".latchkey-dialog-submit")
    page.wait_for_selector("#dialog [name=proof-password]")
    visitor.picture("proof-in-dialog")
    is_kept = page.is_checked("[name=overlap][value='3600']")

    page.fill("[name=proof-password]", PASSWORD)
    page.click(".latchkey-dialog-submit")

    assert is_kept
    assert visitor.shown_credential() != key["key"]
    assert visitor.troubles == []


def code(secret: str) -> str:
    return str(totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30)))
