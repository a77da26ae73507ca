"""YAML that holds no more than JSON could."""

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from database.strict_yaml import InvalidYAML, parse_yaml

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_a_writer_of_yaml_writes_is_read_as_it_was(value: Any) -> None:
    text = yaml.safe_dump(value)

    assert parse_yaml(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no\nb: on\nc: 2026-11-26\nd: 0o17\ne: 1_000", {
            "a": "no", "b": "on", "c": "2026-11-26", "d": "0o17", "e": "1_000",
        }),
        ("a: ~\nb:\nc: null\nd: true\ne: 1.5\nf: 'true'\ng: \"1\"", {
            "a": None, "b": None, "c": None, "d": True, "e": 1.5, "f": "true", "g": "1",
        }),
        ("200:\n  - x\n", {"200": ["x"]}),
        ("a: &anchor b", {"a": "b"}),
        ("<<: {a: b}", {"<<": {"a": "b"}}),
        ("\ufeffa: b", {"a": "b"}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
    ],
)  # fmt: skip
def test_scalars_are_read_as_json_would(text: str, value: Any) -> None:
    assert parse_yaml(text.encode()) == value


def bomb(seed: str, layer: str) -> str:
    """Return eleven layers, each of ten times the one before."""
    lines = [f"a0: &a0 {seed}"]
    for level in range(1, 12):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {layer.format(inner)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (bomb("[x]", "[{}]"), "it has an alias at line 2"),
        (bomb("{x: y}", "{{<<: [{}]}}"), "it has an alias at line 2"),
        ("a: &a [*a]", "it has an alias"),
        ("a: b\n*x : c", "undefined|no text|alias"),
        ("a: !!python/object/apply:os.system [id]", "it has a tag at line 1"),
        ("!!set {a}", "it has a tag"),
        ("a: !!int '1'", "it has a tag"),
        ("a: 1\nb: 2\na: 3", "it has a name twice in one mapping at line 3"),
        ("? [a]\n: b", "it has a name that is no text"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ("[" * 100_000, "nest.* deep|nesting"),
        ("a: b\n---\nc: d", "it holds 2 documents"),
        ("# nothing", "it holds 0 documents"),
        ("a: [", " at line 2"),
        ("a: b: c", "mapping values are not allowed .* at line 1"),
        ("a: \x00", "not allowed"),
    ],
)
def test_what_could_be_read_in_two_ways_or_grow_is_refused(text: str, why: str) -> None:
    began = time.monotonic()

    with pytest.raises(InvalidYAML, match=why):
        parse_yaml(text.encode())

    assert time.monotonic() - began < 2


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidYAML, match="UTF-8"):
        parse_yaml(b"a: \xff")


def test_json_is_read_as_it_is() -> None:
    value = {"a": [1, -2.5, None, True, "é\n"], "b": {"c": {}}}

    assert parse_yaml(json.dumps(value).encode()) == value
