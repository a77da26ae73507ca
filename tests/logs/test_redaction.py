"""No credential and no value named as secret is kept, however it is written."""

import json
import re
import subprocess
import sys
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys import credentials
from apikeys.environments import Environment
from customers.licenses import license_keys
from logs.capture import redaction
from logs.capture.encodings import unescaped
from tests.support.product import ROOT

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


BARS = [
    "&#95;", "&#0095;", "&#95", "&#x5f;", "&#X5F;", "&lowbar;", "&UnderBar;", "&amp;#95;",
    "\\x5f", "\\x5F", "\\\\x5f", "\\137", "\\0137", "\\u{5f}", "\\U0000005f", "\\u005F",
    "%5f", "%5F", "%255f", "=5F", "=3D5F", "=26#95;", "\\46#95;", "&amp;amp;#95;", "\\=785f",
]  # fmt: skip


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", ""])
@pytest.mark.parametrize("bar", BARS)
def test_a_credential_is_masked_however_its_underscores_are_written(
    bar: str, media_type: str
) -> None:
    written = CREDENTIAL.replace("_", bar)
    for content in (json.dumps({"note": written}), f'{{"note": "{written}"}}', f"see {written}!"):
        assert SECRET[:8] not in redaction.body(content.encode(), media_type)
    assert SECRET[:8] not in redaction.line(f"/x/{written}")
    assert SECRET[:8] not in redaction.header("Referer", f"https://x/?a={written}")
    assert SECRET[:8] not in redaction.query(f"a=1&q={written}")


ESCAPES: list[Callable[[str], str]] = [
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"\\{ord(c):03o}",
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"%{ord(c):02X}",
    lambda c: f"={ord(c):02X}",
]


@given(st.integers(0, 3), st.sets(st.integers(0, len(CREDENTIAL) - 1)), st.sampled_from(ESCAPES))
def test_a_credential_is_masked_whichever_of_its_characters_are_escaped(
    head: int, places: set[int], escape: Callable[[str], str]
) -> None:
    # The prefix begins with a letter, and one bar at least would tell.
    written = "".join(escape(c) if n in places else c for n, c in enumerate(CREDENTIAL))
    content = json.dumps({"note": "x " * head + written})

    kept = redaction.body(content.encode(), "application/json")

    assert SECRET not in unescaped(kept)


def test_a_credential_is_masked_when_one_letter_of_its_environment_is_escaped() -> None:
    for escape in ESCAPES:
        for letter in "prod":
            written = CREDENTIAL.replace("_prod_", "_prod_".replace(letter, escape(letter)))

            kept = redaction.body(json.dumps({"note": written}).encode(), "application/json")

            assert SECRET not in kept, written


@given(st.binary(max_size=40), st.binary(max_size=40), st.booleans(), st.integers(4, 100))
def test_a_credential_in_base64_is_masked_wherever_it_begins_and_however_it_is_broken(
    before: bytes, after: bytes, is_for_addresses: bool, width: int
) -> None:
    # Whatever joins the prefix makes another of it, or none.
    data = before + b":" + CREDENTIAL.encode() + b":" + after
    encoded = (b64encode, urlsafe_b64encode)[is_for_addresses](data).decode()
    wrapped = "\r\n".join(encoded[n : n + width] for n in range(0, len(encoded), width))

    for text in (encoded, wrapped, f"data:text/plain;base64,{encoded}", f"/x/{encoded}/y"):
        for content in (text, json.dumps({"note": text}), json.dumps({"note": text})[:-2]):
            kept = redaction.body(content.encode())
            assert SECRET not in decoded_anyhow(kept), kept


def decoded_anyhow(text: str) -> str:
    """All that base64 may hold in a text, whatever group it is read from."""
    joined = re.sub(r"(\\r|\\n|\s)+", "", text).translate(str.maketrans("-_", "+/"))
    runs = re.findall(r"[A-Za-z0-9+/]+", joined)
    return " ".join(
        b64decode(run[phase:] + "A" * (-len(run[phase:]) % 4)).decode("latin-1")
        for run in runs
        for phase in range(4)
    )


def test_basic_credentials_are_masked_outside_their_header_too() -> None:
    encoded = b64encode(f"user:{CREDENTIAL}".encode()).decode()

    for content in (json.dumps({"note": f"Basic {encoded}"}), f"curl -H 'X: Basic {encoded}'"):
        kept = redaction.body(content.encode())
        assert SECRET not in decoded_anyhow(kept)
    assert encoded[60:] not in redaction.header("X-Forwarded-For-User", f"Basic {encoded}")


def test_base64_that_holds_no_credential_is_kept() -> None:
    for plain in (b"my_prod_db is fine", b"x" * 100, bytes(range(256))):
        encoded = b64encode(plain).decode()
        assert redaction.body(f"note {encoded}".encode()) == f"note {encoded}"
    words = "all_prod_uction_words\nand_more_of_them\nin_lines"
    assert redaction.line(words.replace("\n", " ")) == words.replace("\n", " ")


def test_an_environment_that_is_added_is_masked_too() -> None:
    program = """
from base64 import b64encode
from apikeys import environments
environments.TAGS += ("qual",)
from logs.capture import redaction
credential = "lk_qual_AbCdEfGhIjK1_" + "Zx81kQ" * 6
for written in (credential, b64encode(credential.encode()).decode()):
    print(redaction.body(('{"note": "' + written + '"}').encode(), "application/json"))
"""

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    plain, encoded = done.stdout.splitlines()
    assert plain == '{"note":"lk_qual_AbCdEfGhIjK1_***"}'
    assert "Zx81kQ" not in decoded_anyhow(encoded)


@pytest.mark.parametrize(
    "value",
    [
        'Bearer realm="production"',
        'Bearer realm="staging", error="invalid_token", error_description="The key is unknown."',
    ],
)
def test_a_challenge_holds_no_secret_and_is_kept(value: str) -> None:
    assert redaction.header("WWW-Authenticate", value) == value
    assert "x1y2" not in redaction.header("X-Note", "Bearer x=x1y2")


def test_what_no_secret_can_be_is_kept_under_any_name() -> None:
    content = '{"secret_version":3,"has_password":true,"token":null}'

    assert redaction.body(content.encode()) == content


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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("size", [1, 5000])
def test_a_part_of_a_form_in_wide_characters_is_masked(encoding: str, size: int) -> None:
    note = "a" * size + f" {CREDENTIAL} token={PLAIN}"
    parts = {"note": note, "password": PLAIN, "name": "Northwind"}
    content = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + (value.encode() if name == "name" else value.encode(encoding))
        + b"\r\n"
        for name, value in parts.items()
    )

    kept = redaction.body(content + b"--b--\r\n", "multipart/form-data; boundary=b")

    assert "Northwind" in kept
    for secret in (PLAIN, SECRET):
        assert secret not in kept.replace("\\x00", "")


def test_a_form_with_nothing_to_mask_is_kept_with_its_nuls() -> None:
    content = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nP\0N\0G\r\n--b--'

    assert "P\\x00N\\x00G" in redaction.body(content, "multipart/form-data; boundary=b")


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


@pytest.mark.parametrize(
    "content",
    [
        "\\" * 500_000 + "u",
        "&#" + "0" * 500_000,
        "&#" + "9" * 500_000,
        "&#x" + "0" * 500_000,
        "\\u{" + "0" * 500_000,
        "%25" * 150_000,
        ("x3Byb2Rf" + "\n ") * 50_000,
        "X3Byb2Rf" * 60_000,
        "\n" + " " * 500_000,
        "A\n" * 250_000,
    ],
)
def test_no_content_costs_more_than_its_length(content: str) -> None:
    began = time.process_time()

    redaction.body(content.encode(), "text/plain")

    assert time.process_time() - began < 5


@pytest.mark.parametrize("before", [0, 80, 99])
def test_a_secret_that_is_cut_at_the_limit_is_masked(before: int) -> None:
    content = f'{{"note": "{"x" * before}", "password": "hunter2hunter2hunter2"}}'

    kept = redaction.body(content.encode(), "application/json", max_length=100)

    assert "hunter" not in kept


def test_what_is_not_kept_is_not_searched() -> None:
    plain = json.dumps({"note": "x" * 200})

    kept = redaction.body(f'[{plain}, {"1" * 400}, {{"password": "p"}}]'.encode(), max_length=100)

    assert kept == f"[{plain}"[:101]
