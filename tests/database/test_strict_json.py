"""What JSON is taken for a body."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.strict_json import MAX_DEPTH, InvalidJSON, parse_json

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=30,
)


@given(values)
def test_a_json_value_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "line 1"),
        (b"{", "line 1"),
        (b"nonsense", "line 1"),
        (b'{"a": 1} {"b": 2}', "extra data"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"a": "\x00"}', "control character"),
        (rb'{"a": "\u0000"}', "NUL"),
        (rb'{"\u0000": 1}', "NUL"),
        (rb'{"a": ["x", {"b": "\ud800"}]}', "surrogate"),
        (rb'{"\udfff": 1}', "surrogate"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', '"c" twice'),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e400}', "too large"),
        (b'{"a": -1e400}', "too large"),
        (b'{"a": ' + b"9" * 310 + b"}", "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too large"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "deep"),
        (b"[" * 500_000, "deep"),
        (b'["\\"]' + b"[" * 200, "line 1"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidJSON) as refused:
        parse_json(body)

    assert says.lower() in str(refused.value).lower()


@pytest.mark.parametrize(
    "body",
    [
        rb'{"a": "\ud83d\ude00"}',
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        json.dumps({"a": "[" * 1000 + '\\"]'}).encode(),
        b"[" + b",".join([b"{}"] * 500) + b"]",
        b'{"a": 1e308, "b": -0.0, "c": ' + b"9" * 300 + b"}",
    ],
)
def test_what_only_looks_odd_is_accepted(body: bytes) -> None:
    assert parse_json(body) == json.loads(body)


opening = st.lists(st.sampled_from(["[", '{"a":']), min_size=MAX_DEPTH - 2, max_size=MAX_DEPTH)


@given(opening, st.lists(st.text('[]{}"\\', min_size=1), min_size=1))
def test_only_brackets_outside_of_text_are_counted(opened: list[str], texts: list[str]) -> None:
    ends = "".join("]" if one == "[" else "}" for one in reversed(opened))
    body = "".join(opened) + json.dumps(texts) + ends
    is_deep = len(opened) + 1 > MAX_DEPTH

    with pytest.raises(InvalidJSON, match="deep") if is_deep else contextlib.nullcontext():
        parse_json(body.encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidJSON):
        parse_json(body)
