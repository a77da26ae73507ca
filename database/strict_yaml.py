"""YAML that holds no more than JSON could: plain data, each name once, nothing that grows.

Tags, which can name code, and aliases, with which a short text stands for a huge one, are
refused. Plain scalars are read as YAML 1.2 reads them in JSON's schema: ``no`` is a text.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from database.strict_json import MAX_DEPTH

# The names and indexes that lead to a value.
Place = tuple[str | int, ...]

_LITERALS = {"": None, "~": None, "null": None, "true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,2})?")
# The parser in C is ten times as fast. Not every wheel has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InvalidYAML(Exception):
    """A text that is not YAML, or not strict; the message is a clause that says why."""


def parse_yaml(body: bytes, lines: dict[Place, int] | None = None) -> Any:
    """Return the value of the only document in a text; raise ``InvalidYAML``.

    ``lines`` is given the line of each value, counted from 1; of a mapping's value, that of its
    name.
    """
    lines = {} if lines is None else lines
    try:
        events = yaml.parse(body.decode("utf-8-sig"), Loader=_LOADER)
        documents = [
            _value(next(events), events, (), lines)
            for event in events
            if isinstance(event, yaml.DocumentStartEvent)
        ]
    except UnicodeDecodeError:
        raise InvalidYAML("it is not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "a character is not allowed"
        raise InvalidYAML(f"{problem}{f' at line {mark.line + 1}' if mark else ''}") from None
    if len(documents) != 1:
        raise InvalidYAML(f"it holds {len(documents)} documents")
    return documents[0]


def _value(event: Any, events: Iterator[Any], place: Place, lines: dict[Place, int]) -> Any:
    line = event.start_mark.line + 1
    lines.setdefault(place, line)
    if isinstance(event, yaml.AliasEvent):
        raise InvalidYAML(f"it has an alias at line {line}")
    if event.tag is not None:
        raise InvalidYAML(f"it has a tag at line {line}")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event.value) if event.implicit[0] else event.value
    if len(place) == MAX_DEPTH:
        raise InvalidYAML(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(event, yaml.SequenceStartEvent):
        items = enumerate(_until(yaml.SequenceEndEvent, events))
        return [_value(item, events, (*place, index), lines) for index, item in items]
    values: dict[str, Any] = {}
    for key in _until(yaml.MappingEndEvent, events):
        line = key.start_mark.line + 1
        where = f"at line {line}"
        if not isinstance(key, yaml.ScalarEvent) or key.tag is not None:
            raise InvalidYAML(f"it has a name that is no text {where}")
        if key.value in values:
            raise InvalidYAML(f"it has a name twice in one mapping {where}")
        lines[(*place, key.value)] = line
        values[key.value] = _value(next(events), events, (*place, key.value), lines)
    return values


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _scalar(text: str) -> Any:
    if text in _LITERALS:
        return _LITERALS[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text
