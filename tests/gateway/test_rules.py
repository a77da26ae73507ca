"""Rules as people write them, and which one decides a request."""

import time
from random import Random

import pytest

from apikeys import credentials
from apikeys.environments import Environment
from database.refusals import Refused
from gateway.patterns import matches, parse_pattern, split_path
from gateway.rules import (
    MAX_RULES,
    RuleLine,
    compile_rules,
    default_rules,
    difference,
    first_match,
    parse_rule,
    parse_rules,
)


def needed(lines: list[str], method: str, path: str) -> str | None:
    segments = split_path(path)
    assert segments is not None
    rule = first_match(compile_rules(parse_rules(lines)), method, segments)
    return rule.needs if rule else None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("GET /a orders:read", RuleLine(("GET",), "/a", "orders:read")),
        ("GET,HEAD,GET /a any-key", RuleLine(("GET", "HEAD"), "/a", "any-key")),
        ("  *   /**  public ", RuleLine(("*",), "/**", "public")),
        ("M-SEARCH /a a.b_c:d-e cost=1000", RuleLine(("M-SEARCH",), "/a", "a.b_c:d-e", 1000)),
        ("GET /a any-key cost=1", RuleLine(("GET",), "/a", "any-key")),
    ],
)
def test_a_rule_is_read_and_written_as_one_line(text: str, rule: RuleLine) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(str(rule)) == rule


def test_a_cost_of_one_is_not_written() -> None:
    assert str(parse_rule("GET,HEAD /a any-key cost=1")) == "GET,HEAD /a any-key"
    assert str(parse_rule("* /a any-key cost=5")) == "* /a any-key cost=5"


@pytest.mark.parametrize(
    "text",
    [
        "", "GET /a", "GET /a any-key cost=2 more", "get /a any-key", "GET, /a any-key",
        "GET,* /a any-key", ",".join("ABCDEFGHIJK") + " /a any-key", "GÉT /a any-key",
        "GET a any-key", "GET /a/../b any-key", "GET /a* any-key", "GET /a anykey", "GET /a Public",
        "GET /a orders", "GET /a :read", "GET /a Orders:read", f"GET /a {'a' * 41}:read",
        "GET /a a:b:c", "GET /a any-key 5", "GET /a any-key cost=0", "GET /a any-key cost=1001",
        "GET /a any-key cost=-1", "GET /a any-key cost=", "GET /a any-key cost=1.5",
        "GET /a any-key cost=\u0661", "GET /a public cost=2",
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_meant_is_refused_in_two_sentences(text: str) -> None:
    with pytest.raises(Refused, match=r"\S+ .*\. [A-Z].*\.$") as refused:
        parse_rule(text)

    assert refused.value.field == "rules"


def test_a_rule_with_a_key_in_it_is_refused_without_a_copy_of_it() -> None:
    key = credentials.compose(
        "lk", Environment.PRODUCTION, credentials.new_key_id(), credentials.new_secret()
    )

    with pytest.raises(Refused, match="API key") as refused:
        parse_rule(f"GET /{key} public")

    assert key[-38:] not in str(refused.value)


def test_a_refusal_of_many_names_the_rule() -> None:
    with pytest.raises(Refused, match=r"^Rule 2: The rule 'GET /b' "):
        parse_rules(["GET /a any-key", "GET /b", "GET /c"])


def test_a_service_has_so_many_rules() -> None:
    parse_rules(["GET /a any-key"] * MAX_RULES)

    with pytest.raises(Refused, match="2,000 at most"):
        parse_rules(["GET /a any-key"] * (MAX_RULES + 1))


def test_the_first_rule_that_matches_decides() -> None:
    lines = ["GET /a/b a:one", "GET,HEAD /a/** a:two", "* /a/* a:three", "POST /** public"]

    assert needed(lines, "GET", "/a/b") == "a:one"
    assert needed(lines, "HEAD", "/a/b") == "a:two"
    assert needed(lines, "DELETE", "/a/b") == "a:three"
    assert needed(lines, "POST", "/a/b/c") == "public"
    assert needed(lines, "DELETE", "/a/b/c") is None
    assert needed(lines, "get", "/a/b/c") is None
    assert needed([], "GET", "/") is None


def test_the_rules_of_a_new_service_tell_reading_from_the_rest() -> None:
    assert [str(rule) for rule in default_rules("orders")] == [
        "GET,HEAD,OPTIONS /** orders:read",
        "* /** orders:write",
    ]


def test_a_difference_shows_what_goes_and_what_comes() -> None:
    before = parse_rules(["GET /a any-key", "GET /b any-key", "GET /c any-key"])
    after = parse_rules(["GET /a any-key", "GET /b public", "GET /c any-key", "PUT /c any-key"])

    assert difference(before, after) == [
        "- GET /b any-key", "+ GET /b public", "+ PUT /c any-key",
    ]  # fmt: skip
    assert difference(after, after) == []


def test_a_difference_of_as_many_rules_as_there_may_be_takes_a_moment() -> None:
    before, after = (
        [
            RuleLine(("GET",), f"/{version}/orders/{number}", "any-key")
            for number in range(MAX_RULES)
        ]
        for version in ("v1", "v2")
    )
    began = time.monotonic()

    lines = difference(before, after)

    assert [line[0] for line in lines] == ["-"] * MAX_RULES + ["+"] * MAX_RULES
    assert time.monotonic() - began < 5


PATTERNS = ("/", "/**", "/a", "/a/**", "/*", "/*/**", "/a/b", "/a/*", "/*/b", "/{x}/b/**", "/a/b/c")
PATHS = ("/", "/a", "/b", "/a/b", "/a/c", "/b/b", "/a/b/c", "/b/b/c", "/a/b/c/d")


@pytest.mark.parametrize("seed", range(40))
def test_the_first_rule_that_matches_decides_whatever_it_begins_with(seed: int) -> None:
    shuffled = Random(seed).sample([(m, p) for m in ("GET", "POST", "*") for p in PATTERNS], 12)  # noqa: S311
    rules = parse_rules(f"{method} {path} any-key" for method, path in shuffled)
    compiled = compile_rules(rules)

    for method in ("GET", "POST", "PUT"):
        for path in PATHS:
            segments = split_path(path)
            assert segments is not None
            in_turn = (
                rule
                for rule in rules
                if {method, "*"} & set(rule.methods) and matches(parse_pattern(rule.path), segments)
            )
            assert first_match(compiled, method, segments) == next(in_turn, None)
