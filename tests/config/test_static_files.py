"""Static files: how they are named, how long they may be kept, and how they are sent."""

import gzip
from pathlib import Path
from typing import Any

import brotli
import pytest
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.test import Client
from unfold.settings import CONFIG_DEFAULTS

from config.server import static_files
from config.server.compression import accepted_coding
from tests.support import icons

STYLES = "latchkey/latchkey.css"
FONT = "unfold/fonts/inter/Inter-Regular.woff2"
GOOD = "max-age=31536000, public, immutable"


def content_of(name: str) -> bytes:
    return Path(str(finders.find(name))).read_bytes()


def get(address: str, method: str = "GET", **headers: str) -> Any:
    response = Client().generic(method, address, headers=headers)
    response.whole = b"".join(response) if response.streaming else response.content
    return response


def test_what_the_address_names_may_be_kept_for_good() -> None:
    response = get(static(STYLES))

    assert (response.status_code, response["Cache-Control"]) == (200, GOOD)
    assert response.whole == content_of(STYLES)


@pytest.mark.parametrize("address", [f"/static/{'0' * 16}/{STYLES}", f"/static/{STYLES}"])
def test_a_page_of_another_version_gets_the_file_for_a_minute(address: str) -> None:
    response = get(address)

    assert (response.status_code, response["Cache-Control"]) == (200, "max-age=60, public")
    assert response.whole == content_of(STYLES)


@pytest.mark.parametrize("name", ["latchkey/none.css", "../config/settings.py", ""])
def test_a_version_opens_nothing_but_static_files(name: str) -> None:
    assert get(f"/static/{static_files.version()}/{name}").status_code == 404


def test_the_version_follows_every_file(tmp_path: Path, settings: Any) -> None:
    def version() -> str:
        return static_files.version.__wrapped__()

    settings.STATICFILES_DIRS = [str(tmp_path)]
    finders.get_finder.cache_clear()
    file = tmp_path / "own.css"
    versions = [version()]
    file.write_text("a")
    versions.append(version())
    file.write_text("b")
    versions.append(version())
    file.rename(tmp_path / "other.css")
    versions.append(version())
    (tmp_path / "other.css").rename(file)
    again = version()
    finders.get_finder.cache_clear()

    assert len(set(versions)) == 4
    assert again == versions[2]


def test_while_files_are_edited_their_addresses_stay(settings: Any) -> None:
    settings.DEBUG = True

    assert static(STYLES) == f"/static/{STYLES}"


@pytest.mark.parametrize(
    ("accepted", "coding", "decode"),
    [("gzip, deflate, br, zstd", "br", brotli.decompress), ("gzip", "gzip", gzip.decompress)],
)
def test_text_is_compressed(accepted: str, coding: str, decode: Any) -> None:
    response = get(static(STYLES), accept_encoding=accepted)

    assert (response["Content-Encoding"], response["Vary"]) == (coding, "Accept-Encoding")
    assert (response["Cache-Control"], response["Content-Type"]) == (
        GOOD,
        'text/css; charset="utf-8"',
    )
    assert int(response["Content-Length"]) == len(response.whole) < len(content_of(STYLES)) / 3
    assert decode(response.whole) == content_of(STYLES)


def test_text_as_it_is_says_that_it_could_be_compressed() -> None:
    response = get(static(STYLES))

    assert "Content-Encoding" not in response
    assert response["Vary"] == "Accept-Encoding"


def test_a_font_is_sent_as_it_is() -> None:
    response = get(static(FONT), accept_encoding="br")

    assert "Content-Encoding" not in response
    assert response.whole == content_of(FONT)


def test_a_part_of_a_file_never_continues_a_compressed_one() -> None:
    compressed = get(static(STYLES), accept_encoding="br", range="bytes=100-")
    plain = get(static(STYLES), range="bytes=100-")

    assert (compressed.status_code, "Content-Range" in compressed) == (200, False)
    assert brotli.decompress(compressed.whole) == content_of(STYLES)
    assert (plain.status_code, plain.whole) == (206, content_of(STYLES)[100:])


def test_a_file_that_is_known_is_not_sent_again() -> None:
    etag = get(static(STYLES), accept_encoding="br")["ETag"]

    for named in (etag, f"W/{etag}", f'"other", W/{etag}', "*"):
        again = get(static(STYLES), accept_encoding="br", if_none_match=named)
        assert (again.status_code, again.whole, again["Cache-Control"]) == (304, b"", GOOD), named
        assert (again["ETag"], again["Vary"]) == (etag, "Accept-Encoding")


def test_each_coding_of_a_file_has_its_own_etag() -> None:
    etags = [get(static(STYLES), accept_encoding=coding)["ETag"] for coding in ("", "gzip", "br")]

    assert len(set(etags)) == 3
    for etag in etags[:2]:
        response = get(static(STYLES), accept_encoding="br", if_none_match=etag)
        assert (response.status_code, response["ETag"]) == (200, etags[2])
    part = {"range": "bytes=100-", "if_range": etags[2]}
    assert get(static(STYLES), **part).whole == content_of(STYLES)
    assert get(static(STYLES), **part | {"if_range": etags[0]}).status_code == 206


@pytest.mark.parametrize("accepted", ["", "gzip", "br"])
def test_head_tells_what_get_sends(accepted: str) -> None:
    got = get(static(STYLES), accept_encoding=accepted)
    told = get(static(STYLES), "HEAD", accept_encoding=accepted)

    assert (told.status_code, told.whole) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Vary", "Cache-Control"):
        assert told[name] == got[name]
    assert told.get("Content-Encoding", "") == accepted


def test_a_refusal_is_not_kept() -> None:
    response = get(static(STYLES), "POST", accept_encoding="br")

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert not response.has_header("Cache-Control")
    assert not response.has_header("ETag")


def test_a_browser_that_asks_for_an_icon_of_its_own_gets_it() -> None:
    response = Client().get("/favicon.ico")

    assert (response.status_code, response["Location"]) == (302, static("latchkey/favicon.svg"))


def test_the_font_of_icons_has_each_that_is_used() -> None:
    missing = icons.used() - icons.icons(icons.USED).keys()

    assert not missing, f"run make icons for {sorted(missing)}"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("*", None),
        ("identity", None),
        ("deflate, zstd", None),
        ("br;q=0", None),
        ("br; q=0.000, gzip", "gzip"),
        ("gzip;q=1.0, BR;q=0.1", "br"),
        ("gzip ; q=0.5", "gzip"),
        ("x-gzip, brr", None),
    ],
)
def test_a_coding_is_used_only_if_it_is_accepted(header: str, coding: str | None) -> None:
    assert accepted_coding(header) == coding


def test_the_theme_has_every_variable_that_unfold_would_write_into_a_page() -> None:
    theme = content_of("latchkey/theme.css").decode()

    for name, weights in CONFIG_DEFAULTS["COLORS"].items():
        for weight in weights:
            assert f"--color-{name}-{weight}:" in theme
