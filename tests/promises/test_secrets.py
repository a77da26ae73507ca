"""Promise 4: every issued secret occurs in exactly one response and nowhere else.

A running installation issues secrets through every door, is sent them in every wrong place,
and is then searched: database and write-ahead log, counters, cache, sessions, logs, every page.
"""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.support.product import LOTS, PASSWORD, Latchkey
from tests.support.proxy import TRUSTING, forwarded
from tests.support.servers import running

# What a caller's own secret might be; it is kept where the caller stores it, and nowhere else.
PLANTED = "planted-Horse-battery-staple"
LINK = re.compile(r"http://[^/\s\"]+/handover/[0-9A-Za-z]{43}")
CREDENTIAL = re.compile(r"lk_(?:prod|stag|dev)_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


class Person:
    """Somebody in the admin."""

    def __init__(self, product: Latchkey) -> None:
        self.http = httpx.Client(base_url=product.url, follow_redirects=True, timeout=10)
        self.seen: list[str] = []
        self.open("/admin/login/")
        self.send("/admin/login/?next=/admin/", username="admin", password=PASSWORD)

    def open(self, address: str) -> str:
        """GET a page and remember it."""
        return self._remember(self.http.get(address))

    def send(self, address: str, **fields: str) -> str:
        """POST a form and remember the answer."""
        token = {"csrfmiddlewaretoken": self.http.cookies.get("csrftoken", "")}
        headers = {"Referer": str(self.http.base_url)}
        return self._remember(self.http.post(address, data=fields | token, headers=headers))

    def _remember(self, response: httpx.Response) -> str:
        self.seen.append(response.text + str(response.headers))
        return response.text


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, name
    return found[1]


def issue_through_every_door(product: Latchkey, person: Person) -> list[str]:
    """Return every credential, each from the one response that showed it."""
    made = product.create_key("--permission", "customers:write")
    issued = [made["key"]]
    again = product.manage("regenerate_api_key", made["id"], "--overlap", "1h")
    issued.append(again.stdout.strip())
    add = "/admin/apikeys/apikey/add/"
    form = {
        "ticket": hidden(person.open(add), "ticket"), "name": "From the admin",
        "environment": "development", "expiry": "never", "customer_scope": "all",
    }  # fmt: skip
    issued.append(CREDENTIAL.findall(person.send(add, **form))[0])
    person.seen.pop()
    person.send(add, **form)
    dialog = f"/admin/apikeys/apikey/{issued[-1].split('_')[2]}/regenerate/"
    fields = {
        "_form_submitted": "1",
        "overlap": "0",
        "version": hidden(person.open(dialog), "version"),
    }
    issued.append(CREDENTIAL.findall(person.send(dialog, **fields))[0])
    person.seen.pop()
    person.send(dialog, **fields)
    return [*issued, *issue_through_the_api(product)]


def issue_through_the_api(product: Latchkey) -> list[str]:
    """Return a new credential and a regenerated one; neither is in the answer to a replay."""
    managing = product.create_key("--permission", "keys:manage", *LOTS)["key"]
    limits = dict.fromkeys(("minute", "hour", "day"), 1000)
    issued = []
    path = "keys"
    body: dict[str, Any] = {"name": "From the API", "limits": limits}
    with httpx.Client(base_url=f"{product.url}/api/production/v1/", timeout=10) as http:
        for name in ("create", "regenerate"):
            headers = {"Authorization": f"Bearer {managing}", "Idempotency-Key": name}
            first, again = (http.post(path, json=body, headers=headers) for _ in range(2))
            assert again.json() == first.json() | {"key": None}
            issued.append(first.json()["key"])
            path, body = f"keys/{first.json()['id']}/regenerate", {"overlap": 3600}
    return [managing, *issued]


def misuse(product: Latchkey, credential: str, verifier: str) -> list[str]:
    """Send a credential to where it does not belong; return what came back."""
    base = f"{product.url}/api/production/v1"
    good = {"Authorization": f"Bearer {credential}"}
    twice = quote(quote(credential.replace("_", "%5f")))
    basic = base64.b64encode(f"key:{credential}".encode()).decode()
    with httpx.Client(timeout=10) as http:
        answers = [
            http.get(f"{base}/key", headers=good),
            http.get(f"{base}/key?api_key={credential}"),
            http.get(f"{base}/key?api_key={credential}", headers=good),
            http.get(f"{base}/{credential}", headers=good),
            http.get(f"{product.url}/{credential}"),
            http.get(f"{product.url}/admin/{credential}"),
            http.get(f"{base}/customers/{credential}", headers=good),
            http.get(f"{base}/key", headers={"X-API-Key": credential + "x"}),
            http.get(f"{base}/key", headers={"Cookie": f"key={credential}", **good}),
            http.get(f"{base}/key", headers={"User-Agent": credential, **good}),
            http.post(f"{base}/customers", json={credential: credential}, headers=good),
            http.post(f"{base}/customers", json={"name": 1, "status": credential}, headers=good),
            http.post(f"{base}/customers", content=f'{{"name": "{credential}', headers={
                "Content-Type": "application/json", **good}),
            http.get(f"{base}/key", headers={"Host": credential, **good}),
            http.get(f"{base}/key", headers={"Authorization": f"Basic {basic}"}),
            http.get(f"{base}/key", headers={"X-Note": f"see {credential}", **good}),
            http.get(f"{base}/key?note={twice}", headers=good),
            http.post(f"{base}/customers", content=f"note={credential}&password={PLANTED}",
                headers={"Content-Type": "application/x-www-form-urlencoded", **good}),
            http.post(f"{base}/customers", headers=good, json={
                "name": "Planted", "metadata": {"a": [{"api_key": PLANTED}]}}),
            http.post(f"{base}/customers", content=f'{{"password": "{PLANTED}", "name": '.encode(),
                headers={"Content-Type": "application/json", **good}),
            http.get(f"{base}/key?token={PLANTED}", headers={"X-Session-Token": PLANTED, **good}),
            http.get(f"{base}/key", headers={"Cookie": f"session={PLANTED}", **good}),
            *ask_for_a_service(http, product, credential),
            *ask_about_a_key(http, product, credential, verifier),
        ]  # fmt: skip
    return [answer.text + str(answer.headers) for answer in answers]


def link_through_every_door(product: Latchkey, person: Person) -> list[str]:
    """Return every hand-over link, each from the one response that showed it."""
    hours = ("--hand-over", "24")
    made = product.create_key(*hours)
    again = product.manage("regenerate_api_key", made["id"], *hours).stdout.strip()
    managing = product.create_key("--permission", "keys:manage", *LOTS)["key"]
    limits = dict.fromkeys(("minute", "hour", "day"), 1000)
    body = {"name": "Linked", "limits": limits, "hand_over": 1, "passphrase": PLANTED}
    headers = {"Authorization": f"Bearer {managing}", "Idempotency-Key": "linked"}
    keys = f"{product.url}/api/production/v1/keys"
    first, replay = (httpx.post(keys, json=body, headers=headers) for _ in range(2))
    assert replay.json() == first.json() | {"hand_over_url": None}
    add = "/admin/apikeys/apikey/add/"
    form = {
        "ticket": hidden(person.open(add), "ticket"), "name": "Linked by the admin",
        "environment": "production", "expiry": "never", "customer_scope": "all",
        "_hand_over": "", "hand_over": "24", "passphrase": PLANTED,
    }  # fmt: skip
    shown = LINK.findall(person.send(add, **form))[0]
    person.seen.pop()
    person.send(add, **form)
    return [made["hand_over_url"], again, first.json()["hand_over_url"], shown]


def confirm(product: Latchkey, links: list[str]) -> tuple[list[str], list[str]]:
    """Return the credentials of the links that are good, and every other answer to a link."""
    issued, answered = [], []
    with httpx.Client(timeout=10) as http:
        for link in links:
            answered += [http.head(link), http.get(link), http.get(f"{link}/x")]
            # In the wrong places: a referrer, a body, a query, a path of the API.
            lost = f"{product.url}/api/production/v1/customers"
            answered += [
                http.post(lost, json={"name": link}, headers={"Referer": link}),
                http.get(f"{lost}?next={link}"),
                http.get(f"{product.url}/api{link.removeprefix(product.url)}"),
            ]
            confirmed = http.post(link, data={"passphrase": PLANTED})
            issued += CREDENTIAL.findall(confirmed.text)
            answered += [http.post(link, data={"passphrase": PLANTED}), http.get(link)]
    return issued, [answer.text + str(answer.headers) for answer in answered]


def ask_for_a_service(
    http: httpx.Client, product: Latchkey, credential: str
) -> Iterator[httpx.Response]:
    """Ask as a proxy whose clients send a credential where it belongs and where it does not."""
    auth = f"{product.url}/auth/production"
    good = {"Authorization": f"Bearer {credential}"}
    for suffix in ("", "/nginx"):
        for uri in ("/any/x", f"/any/{credential}", f"/any/x?api_key={credential}"):
            for headers in (good, {"X-API-Key": credential}, {}):
                yield http.get(f"{auth}/orders{suffix}", headers=forwarded(uri) | headers)
        for name in ("Method", "Uri", "Host", "For"):
            fields = forwarded("/any/x") | good | {f"X-Forwarded-{name}": credential}
            yield http.get(f"{auth}/orders{suffix}", headers=fields)
        wrong = {"Authorization": f"Bearer {credential}x"}
        yield http.get(f"{auth}/orders{suffix}", headers=forwarded("/any/x") | wrong)
        agent = {"User-Agent": credential, "Cookie": f"key={credential}", "Host": credential}
        yield http.get(f"{auth}/orders{suffix}", headers=forwarded("/any/x") | agent)
        planted = {"Cookie": f"session={PLANTED}", "X-Session-Token": PLANTED}
        uri = f"/any/x?token={PLANTED}"
        yield http.get(f"{auth}/orders{suffix}", headers=forwarded(uri) | planted)
    yield http.post(f"{auth}/orders/envoy/any/{credential}", headers=good, json={"k": credential})
    yield http.get(f"{auth}/orders/envoy/any/x?key={credential}", headers={"Host": credential})
    yield http.get(f"{auth}/{credential}", headers=forwarded("/any/x"))
    yield http.get(f"{product.url}/auth/{credential}/orders", headers=forwarded("/any/x"))


def ask_about_a_key(
    http: httpx.Client, product: Latchkey, credential: str, verifier: str
) -> Iterator[httpx.Response]:
    """Present a credential to be verified, where it belongs and where it does not."""
    base = f"{product.url}/api/production/v1"
    asker = {"Authorization": f"Bearer {verifier}"}
    request = {"service": "orders", "method": "GET", "path": f"/any/{credential}"}
    bodies: list[dict[str, Any]] = [
        {"key": credential}, {"key": credential, **request}, {"key": credential, "count": False},
        {"key": credential, "permission": credential}, {"key": credential, "address": credential},
        {"key": credential, **request, "service": credential}, {"key": [credential]},
        {"key": credential, **request, "path": f"/any/x?key={credential}"},
        {"key": credential, credential: 1}, {"key": f"{credential}x"},
        {"key": credential, **request, "path": f"/any//{credential}"},
    ]  # fmt: skip
    for body in bodies:
        yield http.post(f"{base}/keys/verify", json=body, headers=asker)
        # What is not usual is answered by the view.
        yield http.post(f"{base}/keys/verify?x={credential}", json=body, headers=asker)
        yield http.post(f"{base}/keys/verify", json=body, headers=asker | {"Accept": "text/html"})
    for text in (f"token={credential}", f"token={credential}x", f"token=x&hint={credential}"):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        yield http.post(f"{base}/introspect", content=text, headers=asker | form)
        yield http.post(f"{base}/introspect?{text}", content=text, headers=asker | form)
    basic = ("latchkey", verifier)
    yield http.post(f"{base}/introspect", data={"token": credential}, auth=basic)


def encodings(credential: str) -> Iterator[bytes]:
    """Return the secret, or a link's token, as it could be written: raw, encoded, in part."""
    secret = credential.rpartition("_")[2].rpartition("/")[2]
    yield secret.encode()
    yield secret[:16].encode()
    yield secret[-16:].encode()
    yield secret.encode().hex().encode()
    yield secret.encode("utf-16-le")
    yield quote(secret).encode()
    for offset in range(3):
        yield base64.b64encode(b"x" * offset + secret.encode())[4:-4]


def everything_kept(product: Latchkey) -> dict[str, bytes]:
    """Return all that the installation keeps, by where."""
    kept = {
        str(path): path.read_bytes() for path in Path(product.folder).rglob("*") if path.is_file()
    }
    database = product.environment["DATABASE_URL"]
    if database:
        with psycopg.connect(database) as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            for (table,) in connection.execute(query).fetchall():
                rows = connection.execute(f'TABLE "{table}"').fetchall()
                kept[table] = json.dumps(rows, default=str).encode()
    return kept


@pytest.mark.parametrize("pair", ["sqlite", "postgres"])
def test_a_secret_is_in_one_response_and_nowhere_else(
    pair: str, request: pytest.FixtureRequest
) -> None:
    where: dict[str, str] = {}
    if pair == "postgres":
        where = {
            "database": request.getfixturevalue("postgres").new_database(),
            "redis": request.getfixturevalue("redis").url,
        }
    with running(Latchkey(**where, **TRUSTING, LOG_REQUESTS="on")) as product:
        product.guard("orders", "* /any/** any-key")
        person = Person(product)
        issued = issue_through_every_door(product, person)
        links = link_through_every_door(product, person)
        confirmed, said = confirm(product, links)
        issued += confirmed
        verifier = product.create_key("--permission", "keys:verify", *LOTS)["key"]
        answered = [text for credential in issued for text in misuse(product, credential, verifier)]
        issued.append(verifier)
        answered += said
        time.sleep(1.5)
        logs = "logs/requestlog/"
        pages = ("", "apikeys/apikey/", "apikeys/event/", "customers/customer/", logs)
        exports = (f"{logs}export/csv/", f"{logs}export/ndjson/")
        logged = "".join(person.open(f"/admin/{address}") for address in (*pages, *exports))
        for address in re.findall(rf"/admin/{logs}[0-9a-f-]+/change/", logged):
            logged += person.open(address)
        exported = product.manage("export_logs", "--format", "ndjson").stdout
        answered.append(exported)
        for credential in issued:
            key_id = credential.split("_")[2]
            person.open(f"/admin/apikeys/apikey/{key_id}/change/")
        answered.append(product.manage("show_api_key", key_id, "--json").stdout)
        kept = everything_kept(product)

    # One of the four links was replaced by another before it was confirmed.
    assert (len(confirmed), len(set(issued))) == (3, 11)
    assert any(b"/handover/***" in content for place, content in kept.items() if "log" in place)
    assert exported.count('"method"') > 60
    assert exported.count('"kind": "decision"') > 60
    assert PLANTED not in logged + exported
    for place, content in kept.items():
        if "spool" in place or "logs_" in place or "serve.log" in place:
            assert PLANTED.encode() not in content, place
    assert (
        any(b"apikeys_apikey" in content for content in kept.values()) or "apikeys_apikey" in kept
    )
    for credential in [*issued, *links]:
        for form in encodings(credential):
            for place, content in kept.items():
                assert form not in content, place
            for text in [*answered, *person.seen]:
                assert form not in text.encode()
