"""Reads a manifest: YAML that fits ``schema.json``, with the line of each thing in it.

What does not fit is refused with file, line, and what was probably meant.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from apikeys.credentials import mask
from database.refusals import Refused
from database.strict_yaml import InvalidYAML, Place, parse_yaml
from database.suggestions import suggestion

MAX_BYTES = 5_000_000
SCHEMA = Path(__file__).with_name("schema.json")


class Entry(NamedTuple):
    """One thing that a manifest declares, and where: ``production.yaml:12``."""

    values: Mapping[str, Any]
    place: str


class Manifest(NamedTuple):
    """What an owner declares, by section."""

    owner: str
    sections: Mapping[str, tuple[Entry, ...]]


def read_manifest(name: str) -> Manifest:
    """Read the file ``name``; raise ``Refused``."""
    try:
        with Path(name).open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(f"{name!r} cannot be read: {error.strerror}. Name a YAML file.") from None
    if len(body) > MAX_BYTES:
        raise Refused(f"{name!r} is longer than {MAX_BYTES:,} bytes. Divide it among owners.")
    lines: dict[Place, int] = {}
    try:
        document = parse_yaml(body, lines)
    except InvalidYAML as error:
        raise Refused(f"{name!r} cannot be read: {error}. Correct it and try again.") from None
    if mask(body.decode()) != body.decode():
        raise Refused(f"{name!r} holds an API key. A manifest holds no secret: take it out.")
    for wrong in _errors(document):
        raise Refused(f"{name}:{_line(lines, wrong)}: {_message(wrong)}")
    sections = {
        section: tuple(
            Entry(values, f"{name}:{lines[(section, index)]}")
            for index, values in enumerate(document.get(section) or ())
        )
        for section in _schema()["properties"]
        if section != "owner"
    }
    return Manifest(document["owner"], sections)


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    return schema


def _errors(document: Any) -> Iterator[ValidationError]:
    """Yield what is wrong, the first in the document first, each alternative's own reason."""
    errors = Draft202012Validator(_schema()).iter_errors(document)
    for error in sorted(errors, key=lambda error: [str(part) for part in error.absolute_path]):
        yield best_match([error]) or error


def _line(lines: Mapping[Place, int], error: ValidationError) -> int:
    place = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        place = (*place, _unknown(error))
    while place not in lines:
        place = place[:-1]
    return lines[place]


def _unknown(error: ValidationError) -> str:
    known = error.schema["properties"]
    return next(str(name) for name in error.instance if name not in known)


def _message(error: ValidationError) -> str:
    field = error.absolute_path[-1] if error.absolute_path else "the file"
    match error.validator:
        case "additionalProperties":
            name, known = _unknown(error), list(error.schema["properties"])
            return f"{name!r} is not a field here. {suggestion(name, known)}"
        case "required":
            missing = next(name for name in error.validator_value if name not in error.instance)
            return f"{missing!r} is missing. Write it."
        case "enum":
            offered = [str(value) for value in error.validator_value]
            return f"{error.instance!r} is not one of them. {suggestion(error.instance, offered)}"
        case "type":
            return f"{field!r} is no {error.validator_value}. Write one."
        case _:
            return f"{field!r} cannot be {json.dumps(error.instance)[:80]}. Correct it."
