"""Which paths are ambiguous, and which patterns the others match."""

from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.patterns import matches, parse_pattern, split_path


def fits(pattern: str, path: str) -> bool:
    segments = split_path(path)
    return segments is not None and matches(parse_pattern(pattern), segments)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/"),
        ("/**", "/"),
        ("/**", "/a/b/c"),
        ("/a/**", "/a"),
        ("/a/**", "/a/"),
        ("/a/**", "/a/b/c"),
        ("/a", "/a/"),
        ("/a/", "/a"),
        ("/a/*/c", "/a/b/c"),
        ("/a/{id}/c", "/a/b/c"),
        ("/a/{id}/**", "/a/b"),
        ("/*", "/*"),
        ("/admin", "/%61dmin"),
        ("/%61dmin", "/admin"),
        ("/café", "/caf%C3%A9"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/me@example", "/me%40example"),
        ("/100%25", "/100%25"),
        ("/...", "/..."),
        ("/.well-known/*", "/.well-known/x.json"),
    ],
)
def test_a_path_matches(pattern: str, path: str) -> None:
    assert fits(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/a"),
        ("/a", "/"),
        ("/a", "/A"),
        ("/a", "/a/b"),
        ("/a/*", "/a"),
        ("/a/*", "/a/"),
        ("/a/*", "/a/b/c"),
        ("/a/{id}/**", "/a"),
        ("/a/**", "/ab"),
        ("/a/**", "/b/a"),
        ("/a+b", "/a%20b"),
    ],
)
def test_a_path_does_not_match(pattern: str, path: str) -> None:
    assert split_path(path) is not None
    assert not fits(pattern, path)


# From the advisories of Traefik (CVE-2026-48020, -40912), Heimdall (GHSA-3q34-rx83-r6mq) and
# Quarkus (CVE-2026-50559), and what else proxies and applications are known to read differently.
TRICKS = [
    "", "*", "a", "http://host/a", "//", "//a", "/a//b", "/a//", "/.", "/..", "/./a", "/a/.",
    "/a/./b", "/a/../b", "/a/..", "/public/../admin", "/a%2fb", "/a%2Fb", "/public/..%2fadmin",
    "/public%2f..%2fadmin", "/a%5cb", "/a%5Cb", "/a\\b", "/public/..\\admin", "/%2e%2e/admin",
    "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/%2E./admin", "/%2e", "/a%2ejson",
    "/a%00", "/a%00.json", "/a\0", "/admin;x", "/admin;/x", "/;/admin", "/public/..;/admin",
    "/admin%3bx", "/admin%3Bx", "/a#b", "/a%23b", "/a?b", "/a%3fb", "/a%3Fb",
    "/a b", "/a\tb", "/a\r\nb", "/a%0ab", "/a%0d%0aX:%20y", "/a%09b", "/a%7fb", "/a\x7f",
    "/a%C2%85b",
    "/%", "/%2", "/%zz", "/a%", "/%u002e", "/%252e%252e/admin", "/a%252fb", "/a%25%32%66b",
    "/%25%32%65%25%32%65/admin", "/a%255cb", "/café", "/\u2025/admin", "/%FF", "/%C3", "/%C0%AF",
    "/%C0%AE%C0%AE/admin", "/%E0%80%AF", "/%ED%A0%80", "/public%EF%BC%8Fadmin", "/%E2%80%A5/admin",
    "/%EF%BC%8E%EF%BC%8E/admin", "/a%EF%BC%BCb", "/a%EF%BC%9Bb", "/%EF%BC%852e/a", "/%E2%84%80",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_that_may_be_read_in_two_ways_is_ambiguous(path: str) -> None:
    assert split_path(path) is None
    assert split_path(path.encode()) is None
    assert not fits("/**", path)


@pytest.mark.parametrize(
    "path", ["/", "/a.b", "/a..b", "/..a", "/a!$&'()*+,=:@~_-", "/a%20b", "/%E2%82%AC", "/a|b[1]"]
)
def test_a_path_that_all_read_alike_is_not_ambiguous(path: str) -> None:
    assert split_path(path) is not None
    assert split_path(path) == split_path(path.encode())


@pytest.mark.parametrize(
    "pattern",
    [
        "", "a", "*", "**", "/a//b", "//", "/**/a", "/a**", "/a*", "/*a", "/{a}b", "/a{b}", "/{}",
        "/{a", "/a}", "/.", "/a/../b", "/a%2fb", "/a%2eb", "/a%5cb", "/a\\b", "/a;b", "/a#b",
        "/a?b", "/%zz", "/%252e", "/a%00", "/a\0", "/%FF", "/" + "a" * 500, "/a b", "/a\n",
        "/a\u202eb", "/{a b}",
    ],
)  # fmt: skip
def test_a_pattern_that_no_request_could_match_is_refused_in_two_sentences(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\S+ .*\. [A-Z].*\.$"):
        parse_pattern(pattern)


def reference_match(pattern: list[str], path: list[str]) -> bool:
    """Match recursively, by the words of the documentation."""
    if pattern == ["**"]:
        return True
    if not pattern or not path:
        return pattern == path
    is_wild = pattern[0] == "*" or pattern[0].startswith("{")
    return (is_wild or pattern[0] == path[0]) and reference_match(pattern[1:], path[1:])


words = st.sampled_from(["a", "b", "A", "a.b", "é", "%", "*"])
literals = st.sampled_from(["a", "b", "A", "a.b", "é"])
wilds = st.sampled_from(["*", "{id}"])


@given(
    st.lists(literals | wilds, max_size=4),
    st.booleans(),
    st.lists(words, max_size=5),
    st.booleans(),
)
def test_matching_agrees_with_a_simple_matcher(
    pattern: list[str], takes_rest: bool, path: list[str], has_slash: bool
) -> None:
    written = pattern + ["**"] * takes_rest
    # Every byte encoded that may be: what is not decoded once would not match.
    sent = ["".join(f"%{b:02X}" if chr(b) != "." else "." for b in w.encode()) for w in path]
    raw = "/" + "/".join(sent) + "/" * (has_slash and bool(sent))

    assert fits("/" + "/".join(written), raw) == reference_match(written, path)


def reference_is_ambiguous(raw: bytes) -> bool:
    """Judge byte by byte, by the words of the documentation."""
    text, place = bytearray(), 0
    while place < len(raw):
        byte = raw[place]
        if not 0x21 <= byte <= 0x7E:
            return True
        if byte == ord("%"):
            digits = raw[place + 1 : place + 3]
            if len(digits) != 2 or not all(chr(d) in "0123456789abcdefABCDEF" for d in digits):
                return True
            byte = int(digits, 16)
            if byte in b"/." or byte < 0x20:
                return True
            place += 2
        text.append(byte)
        place += 1
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return True
    if not decoded.startswith("/") or any(c in decoded for c in "\\;#?") or "//" in decoded:
        return True
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in decoded):
        return True
    if any(segment in {".", ".."} for segment in decoded.split("/")):
        return True
    pieces = decoded.split("%")[1:]
    return any(len(p) >= 2 and all(c in "0123456789abcdefABCDEF" for c in p[:2]) for p in pieces)


fragments = st.sampled_from(
    [b"/", b"a", b".", b"..", b"%2e", b"%2F", b"%61", b"%C3%A9", b"%C3", b"%", b"%25", b"2f", b"4",
     b"%32", b"%66", b";", b"%3b", b"?", b"#", b"\\", b"%5C", b"%00", b"\n", b" ", b"%20", b"%85",
     b"%C2", b"\xc3\xa9", b"*", b"~"]
)  # fmt: skip


@given(st.lists(fragments, max_size=8).map(lambda parts: b"/" + b"".join(parts)))
@example(b"")
def test_ambiguity_agrees_with_a_reading_byte_by_byte(raw: bytes) -> None:
    assert (split_path(raw) is None) == reference_is_ambiguous(raw)


@given(st.lists(fragments, max_size=8).map(lambda parts: b"/" + b"".join(parts)))
def test_no_further_decoding_changes_the_segments_of_an_unambiguous_path(raw: bytes) -> None:
    segments = split_path(raw)

    if segments is not None:
        again = tuple(unquote(segment) for segment in segments)
        assert again == segments
        assert not {".", "..", ""} & set(segments)
