"""No credential and no value named as secret is kept, however it is written."""

import json
from urllib.parse import quote

import pytest

from apikeys import credentials
from apikeys.environments import Environment
from customers import license_keys
from logs import redaction

SECRET = "Zx81kQ" * 5 + "aa"
CREDENTIAL = credentials.compose("lk", Environment.PRODUCTION, "AbCdEfGhIjK1", SECRET)
PLAIN = "hunter2-correct-horse"


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"note": CREDENTIAL}),
        json.dumps({"a": [{"b": {"c": f"x {CREDENTIAL} y"}}]}),
        json.dumps({CREDENTIAL: 1}),
        json.dumps(CREDENTIAL),
        f'{{"note": "{CREDENTIAL}',
        f'{{"note": "{CREDENTIAL[:40]}',
        f'{{"note": "{escaped(CREDENTIAL)}"}}',
        f'{{"note": "{escaped(CREDENTIAL)}',
        f'{{"note": "{CREDENTIAL.replace("_", escaped("_"))}',
        f"note={CREDENTIAL}&more=1",
        f"note={quote(CREDENTIAL.replace('_', '%5F'))}",
        f"note={''.join(f'%{ord(c):02x}' for c in CREDENTIAL)}",
        f"\x00\x01{CREDENTIAL}\n{CREDENTIAL}",
        f"[[[[{CREDENTIAL}",
        "[" * 100_000 + f'"{CREDENTIAL}"',
    ],
)
def test_a_credential_is_masked_wherever_it_stands(content: str) -> None:
    kept = redaction.body(content.encode())

    assert SECRET[:12] not in kept
    assert escaped(SECRET[:4]) not in kept


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (json.dumps({"password": PLAIN}), "application/json"),
        (json.dumps({"apiKey": PLAIN}), "application/json"),
        (json.dumps({"a": [{"X-API-Key": {"nested": PLAIN}}]}), "application/json"),
        (json.dumps({"license_key": [PLAIN]}), "application/json"),
        (json.dumps({"client secret": PLAIN}), "application/json"),
        (f'{{"p\\u0061ssword": "{PLAIN}"}}', "application/json"),
        (f'{{"p\\u0061ssword": "{PLAIN}', "application/json"),
        (f'{{"password": "{PLAIN}", ', "application/json"),
        (f'{{"password": {{"a": "{PLAIN}"', "application/json"),
        (f'{{"password": 1, "password": "{PLAIN}"}}', "application/json"),
        (f"{{'password': '{PLAIN}'}}", "application/json"),
        (f"password={PLAIN}&a=b", "application/x-www-form-urlencoded"),
        (f"a=b&p%61ssword={PLAIN}", "application/x-www-form-urlencoded"),
        (f"password={PLAIN}", "text/plain"),
        (f"Authorization: Basic {PLAIN}\n", "text/plain"),
        (
            f'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{PLAIN}\r\n--x--',
            "multipart/form-data",
        ),
        (json.dumps({"config": json.dumps({"password": PLAIN})}), "application/json"),
        (json.dumps({"a": json.dumps({"b": json.dumps({"token": PLAIN})})}), "application/json"),
        (json.dumps({"note": f"password={PLAIN}"}), "application/json"),
        (json.dumps({"note": f"Authorization: Basic {PLAIN}"}), "application/json"),
        (json.dumps({"url": f"https://x/?a=1&token={PLAIN}"}), "application/json"),
        (f'{{"password":{" " * 30}"{PLAIN}",}}', "application/json"),
        (f'{{"password"{" " * 30}: "{PLAIN}",}}', "application/json"),
        (f'{{"my password here": "{PLAIN}",', "application/json"),
        (f'{{"api.key": "{PLAIN}",', "application/json"),
        (f'{{"a": "{{\\"password\\": \\"{PLAIN}\\"', "application/json"),
        (f"p%61ssword={PLAIN}", "Application/X-WWW-Form-URLEncoded"),
        (f"a=1\np%61ssword={PLAIN}", "application/x-www-form-urlencoded"),
        (f"data=%7B%22password%22%3A%22{PLAIN}%22%7D", "application/x-www-form-urlencoded"),
        (f"next=%2Fx%3Ftoken%3D{PLAIN}", "application/x-www-form-urlencoded"),
        (f"a=1;token={PLAIN}", "application/x-www-form-urlencoded"),
        (f"pwd={PLAIN}&x=1", "application/x-www-form-urlencoded"),
        (
            f'--b\r\nContent-Disposition: form-data; name = "password"\r\n\r\n{PLAIN}\r\n--b--',
            'multipart/form-data; boundary="b"',
        ),
        (
            (
                f"--b\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nContent-Disposition: form-data;"
                f" name=p%61ssword\r\n\r\nx\r\n--{PLAIN}\r\n--b--"
            ),
            "multipart/form-data; boundary=b",
        ),
        (f"<a><password type='x'>{PLAIN}</password></a>", "application/xml"),
        (f"password: |\n  {PLAIN}\n", "application/yaml"),
        (json.dumps({"jwt": PLAIN, "n": 1}), "application/json"),
        (json.dumps({"otp": PLAIN}), "application/json"),
        (json.dumps({"auth": {"a": PLAIN}}), "application/json"),
        (json.dumps({"licence_key": PLAIN}), "application/json"),
        (json.dumps({"connection_string": PLAIN}), "application/json"),
    ],
)
def test_a_value_named_as_secret_is_masked(content: str, media_type: str) -> None:
    assert PLAIN not in redaction.body(content.encode(), media_type)


def test_what_is_not_secret_is_kept_as_it_is() -> None:
    content = '{"name": "Zoë",\n "note": "key of the house", "n": [1, 2.50, null]}'

    assert json.loads(redaction.body(content.encode())) == json.loads(content)
    assert redaction.body(b'{"name": "Northwind"}') == '{"name": "Northwind"}'


def test_a_header_named_as_secret_keeps_the_key_id_alone() -> None:
    assert redaction.header("Authorization", f"Bearer {CREDENTIAL}") == (
        "Bearer lk_prod_AbCdEfGhIjK1_***"
    )
    assert redaction.header("Authorization", f"Basic {PLAIN}") == "***"
    assert redaction.header("Authorization", f"Basic {PLAIN}, Bearer {CREDENTIAL}") == "***"
    assert redaction.header("X-Session-Token", PLAIN) == "***"
    assert redaction.header("Cookie", f"a={PLAIN}") == "***"
    assert SECRET not in redaction.header("Referer", f"https://x/?k={CREDENTIAL}")
    assert PLAIN not in redaction.header("Referer", f"https://x/?password={PLAIN}")


@pytest.mark.parametrize(
    "query",
    [
        f"api_key={PLAIN}",
        f"a=1&API%5FKey={PLAIN}",
        f"a=1&token={PLAIN}&b=2",
        f"a[password]={PLAIN}",
    ],
)
def test_a_query_is_masked_by_name(query: str) -> None:
    assert PLAIN not in redaction.query(query)


@pytest.mark.parametrize(
    "query", [f"q={CREDENTIAL}", f"q={quote(quote(quote(CREDENTIAL.replace('_', '%5f'))))}"]
)
def test_a_query_is_masked_by_form(query: str) -> None:
    assert SECRET not in redaction.query(query)


def test_nothing_kept_can_end_a_line_or_reorder_one() -> None:
    odd = "a\r\nb\x00c\x1b[31m\u202edcb\u2028e\x85"

    assert redaction.line(odd).isprintable()
    assert "\x00" not in redaction.body(odd.encode())
    assert "\u202e" not in redaction.body(odd.encode())


def test_binary_content_is_kept_in_a_form_any_database_holds() -> None:
    kept = redaction.body(bytes(range(256)))

    kept.encode("utf-8")
    assert "\x00" not in kept
    assert "\\xff" in kept


def test_a_lone_surrogate_is_kept_as_its_escape() -> None:
    kept = redaction.body(b'{"token": 1, "x": "\\ud800"}')

    assert kept == '{"token":"***","x":"\\ud800"}'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_body_in_wide_characters_is_read_before_it_is_masked(encoding: str) -> None:
    text = json.dumps({"password": PLAIN, "note": CREDENTIAL, "name": "Northwind"})

    kept = redaction.body(text.encode(encoding))

    assert "Northwind" in kept
    for secret in (PLAIN, SECRET):
        assert secret not in kept.replace("\\x00", "")


@pytest.mark.parametrize("name", ["key", "serial", "anything at all"])
def test_a_license_key_is_masked_by_its_form(name: str) -> None:
    license_key = license_keys.new()

    kept = redaction.body(json.dumps({name: license_key, "license": "x"}).encode())

    assert license_key not in kept
    assert license_key[:5] in kept
    assert license_key not in redaction.line(f"/api/production/v1/licenses/{license_key}")


def test_what_is_masked_leaves_its_neighbours() -> None:
    kept = redaction.query("a=1&token=x;b=2&next=%2Fhome&c=a,b")

    assert kept == "a=1&token=***;b=2&next=%2Fhome&c=a,b"
    assert redaction.header("Referer", "https://x/y?page=2&token=z#top") == (
        "https://x/y?page=2&token=***"
    )
