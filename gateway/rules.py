"""Rules of a service: which requests need what. The first rule that matches decides.

Written as one line, ``GET,HEAD /v1/orders/** orders:read cost=5``: methods or ``*``, a pattern
(``patterns``), what is needed (a permission, ``any-key`` or ``public``), and what the request
takes of the key's limits unless that is 1.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from apikeys.credentials import mask
from apikeys.permissions import CODE
from database.refusals import Refused
from gateway.patterns import Pattern, matches, parse_pattern

ANY_KEY, PUBLIC = "any-key", "public"
ANY_METHOD = "*"
READING = ("GET", "HEAD", "OPTIONS")
MAX_RULES = 2_000
MAX_COST = 1_000
MAX_METHODS = 10
METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")
SERVICE_NAME = re.compile(r"[a-z][a-z0-9-]*")
_COST = re.compile(r"cost=([0-9]{1,4})")
EXAMPLE = "GET,HEAD /v1/orders/** orders:read"


class RuleLine(NamedTuple):
    """A rule as it is written; equal lines are equal rules."""

    methods: tuple[str, ...]
    path: str
    needs: str
    cost: int = 1

    @property
    def permission(self) -> str | None:
        """The code of the permission that is needed, if it is one."""
        return None if self.needs in {ANY_KEY, PUBLIC} else self.needs

    def __str__(self) -> str:
        line = f"{','.join(self.methods)} {self.path} {self.needs}"
        return line if self.cost == 1 else f"{line} cost={self.cost}"


class CompiledRule(NamedTuple):
    """A rule as requests are compared with it."""

    position: int
    methods: frozenset[str]
    pattern: Pattern
    line: RuleLine


class CompiledRules(NamedTuple):
    """Rules by the segments that their patterns begin with, before the first placeholder.

    A request is compared with those that begin as its path does: a few, where all may be 2,000.
    """

    by_start: Mapping[tuple[str, ...], Sequence[CompiledRule]]
    longest_start: int


def default_rules(name: str) -> tuple[RuleLine, ...]:
    """Return a new service's rules: reading needs ``NAME:read``, the rest ``NAME:write``."""
    return (
        RuleLine(READING, "/**", f"{name}:read"),
        RuleLine((ANY_METHOD,), "/**", f"{name}:write"),
    )


def parse_rule(text: str) -> RuleLine:
    """Read one rule; raise ``Refused`` with what is wrong and what to do."""
    if mask(text) != text:
        raise _refused("The rule holds an API key. Write {name} where a path has one.")
    words = text.split()
    if len(words) not in {3, 4}:
        raise _refused(f"The rule {text!r} has not three parts. Write it as {EXAMPLE!r}.")
    methods, path, needs, *rest = words
    rule = RuleLine(_parse_methods(methods), path, needs, _parse_cost(rest[0]) if rest else 1)
    try:
        parse_pattern(path)
    except ValueError as error:
        raise _refused(str(error)) from None
    if rule.permission is not None and not CODE.fullmatch(needs):
        raise _refused(
            f"{needs!r} is not what a rule can need."
            f" Write a permission such as orders:read, {ANY_KEY} or {PUBLIC}."
        )
    if needs == PUBLIC and rule.cost != 1:
        raise _refused("A public rule has no key that it could cost. Leave the cost out.")
    return rule


def parse_rules(lines: Iterable[str]) -> tuple[RuleLine, ...]:
    """Read rules in their order; the message of a refusal names the line."""
    rules = []
    for number, line in enumerate(lines, start=1):
        try:
            rules.append(parse_rule(line))
        except Refused as refused:
            raise _refused(f"Rule {number}: {refused}") from None
    if len(rules) > MAX_RULES:
        raise _refused(f"There are {len(rules)} rules. Use {MAX_RULES:,} at most.")
    return tuple(rules)


def compile_rules(rules: Iterable[RuleLine]) -> CompiledRules:
    by_start: defaultdict[tuple[str, ...], list[CompiledRule]] = defaultdict(list)
    for position, rule in enumerate(rules):
        pattern = parse_pattern(rule.path)
        start: Any = tuple(takewhile(lambda segment: segment is not None, pattern.segments))
        by_start[start].append(CompiledRule(position, frozenset(rule.methods), pattern, rule))
    return CompiledRules(dict(by_start), max(map(len, by_start), default=0))


def first_match(rules: CompiledRules, method: str, segments: tuple[str, ...]) -> RuleLine | None:
    """Return the rule that decides a request, by its method and ``split_path`` of its path."""
    first: CompiledRule | None = None
    for length in range(min(rules.longest_start, len(segments)) + 1):
        for rule in rules.by_start.get(segments[:length], ()):
            if first is not None and rule.position > first.position:
                break
            fits = method in rule.methods or ANY_METHOD in rule.methods
            if fits and matches(rule.pattern, segments):
                first = rule
                break
    return None if first is None else first.line


def changed_places(before: Sequence[Any], after: Sequence[Any]) -> Iterator[tuple[range, range]]:
    """Yield the places of rules that go, and of those that come instead, in their order."""
    # Not ``ndiff``, which looks for likeness within the lines: minutes for some hundred rules.
    matcher = difflib.SequenceMatcher(None, before, after)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind != "equal":
            yield range(start, end), range(new_start, new_end)


def difference(before: Sequence[RuleLine], after: Sequence[RuleLine]) -> list[str]:
    """Return the lines that go, after ``-``, and those that come, after ``+``, in their order."""
    lines = []
    for went, came in changed_places(before, after):
        lines += [f"- {before[place]}" for place in went]
        lines += [f"+ {after[place]}" for place in came]
    return lines


def write_numbers(places: Sequence[int]) -> str | None:
    """Return places as people count them, ``2, 5-7``; None for none."""
    runs: list[list[int]] = []
    for number in (place + 1 for place in places):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs) or None


def read_numbers(text: str | None) -> list[int]:
    """Return the places that ``write_numbers`` wrote."""
    places: list[int] = []
    for run in text.split(", ") if text else ():
        first, _, last = run.partition("-")
        places += range(int(first) - 1, int(last or first))
    return places


def _parse_methods(text: str) -> tuple[str, ...]:
    methods = tuple(dict.fromkeys(text.split(",")))
    if methods == (ANY_METHOD,):
        return methods
    if len(methods) > MAX_METHODS or not all(map(METHOD.fullmatch, methods)):
        raise _refused(
            f"{text!r} are no methods. Write up to {MAX_METHODS} in capitals, joined by commas,"
            " as GET,HEAD, or * for all."
        )
    return methods


def _parse_cost(text: str) -> int:
    match = _COST.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= MAX_COST:
        raise _refused(f"{text!r} is not a cost. Write cost=1 to cost={MAX_COST}.")
    return int(match[1])


def _refused(message: str) -> Refused:
    return Refused(message, field="rules")
