"""Rules from an OpenAPI 3 document: one for each operation.

A rule needs what the operation's ``x-permission`` names. Without it, reading needs
``<resource>:read`` and the rest ``<resource>:write``; the resource is the first literal segment of
the path that is no version and not ``api``. Literal paths stand before those with placeholders, so
that the first rule that matches is the operation's own.
"""

import codecs
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from apikeys.permissions import CODE
from database.refusals import Refused
from database.strict_json import InvalidJSON, parse_json
from database.strict_yaml import InvalidYAML, parse_yaml
from gateway.patterns import Pattern, parse_pattern
from gateway.rules import ANY_KEY, MAX_RULES, PUBLIC, READING, RuleLine, parse_rule

MAX_BYTES = 16 * 1024 * 1024
MAX_REFERENCES = 20
METHODS = ("get", "head", "options", "post", "put", "patch", "delete", "trace", "query")
_VERSION = re.compile(r"v?[0-9]+([._-][0-9]+)*((alpha|beta|rc)[0-9]*)?", re.IGNORECASE)
_VARIABLE = re.compile(r"\{([^{}]+)\}")


class Operation(NamedTuple):
    """A method of a path, behind the server's prefix, and what it needs."""

    method: str
    path: str
    pattern: Pattern
    needs: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def read_document(body: bytes) -> dict[str, Any]:
    """Return an OpenAPI 3 document, written in JSON or in YAML; raise ``Refused``."""
    if len(body) > MAX_BYTES:
        raise Refused(
            f"The document is larger than {MAX_BYTES // 2**20} MB. Leave examples and schemas out."
        )
    body = body.removeprefix(codecs.BOM_UTF8)
    is_json = body.lstrip()[:1] == b"{"
    try:
        document = parse_json(body) if is_json else parse_yaml(body)
    except (InvalidJSON, InvalidYAML) as error:
        kind = "JSON" if is_json else "YAML"
        raise Refused(f"The document cannot be read: {error}. Write it as plain {kind}.") from None
    if not isinstance(document, dict) or not {"openapi", "swagger"} & document.keys():
        raise Refused("This is not an OpenAPI document. Name a file that begins with openapi: 3.")
    if "swagger" in document:
        raise Refused("This is Swagger 2. Convert it to OpenAPI 3 and import that.")
    if not re.match(r"3(\.|\Z)", str(document["openapi"])):
        raise Refused(
            f"This is OpenAPI {str(document['openapi'])[:20]!r}. Convert it to OpenAPI 3."
        )
    return document


def rules_of(document: dict[str, Any], *, service: str) -> tuple[RuleLine, ...]:
    """Return the rules of a document's operations; raise ``Refused``."""
    operations = list(_operations(document, service))
    if not operations:
        raise Refused("The document has no operation. Import one that has paths.")
    if len(operations) > MAX_RULES:
        raise Refused(
            f"The document has {len(operations):,} operations, and a service {MAX_RULES:,} rules"
            " at most. Divide it among several services."
        )
    by_place: dict[tuple[str, Pattern], Operation] = {}
    for operation in operations:
        other = by_place.setdefault((operation.method, operation.pattern), operation)
        if other is not operation:
            raise Refused(
                f"{other} and {operation} take the same requests. Leave one of the two out."
            )
    operations.sort(key=lambda operation: _breadth(operation.pattern))
    return tuple(_rule(operation, by_place.keys()) for operation in operations)


def _breadth(pattern: Pattern) -> list[int]:
    """Return what sorts first, where two paths part, a literal segment, and last any rest."""
    return [*(int(part is None) for part in pattern.segments), *([2] if pattern.takes_rest else [])]


def _operations(document: dict[str, Any], service: str) -> Iterator[Operation]:
    prefix = _prefix(document)
    for path, given in _mapping(document.get("paths", {}), "paths").items():
        if path.startswith("x-"):
            continue
        try:
            own, pattern = parse_pattern(path), parse_pattern(prefix + path)
        except ValueError as error:
            raise Refused(str(error)) from None
        item = _path_item(document, path, given)
        for name in METHODS:
            if name in item:
                method = name.upper()
                permission = _mapping(item[name], f"{method} {path}").get("x-permission")
                if permission is None:
                    action = "read" if method in READING else "write"
                    permission = f"{_resource(own) or service}:{action}"
                yield Operation(method, prefix + path, pattern, permission)


def _rule(operation: Operation, places: Collection[tuple[str, Pattern]]) -> RuleLine:
    method, path, pattern, needs = operation
    if not isinstance(needs, str) or not (needs in {ANY_KEY, PUBLIC} or CODE.fullmatch(needs)):
        raise Refused(f"The x-permission of {operation} is none. Write it as orders:read.")
    if method == "GET" and ("HEAD", pattern) not in places:
        method = "GET,HEAD"
    return parse_rule(f"{method} {path} {needs}")


def _resource(pattern: Pattern) -> str:
    """Return the first segment that names something, in the form of a code; else nothing."""
    for segment in pattern.segments:
        if segment and segment.lower() != "api" and not _VERSION.fullmatch(segment):
            word = re.sub(r"[^a-z0-9._-]+", "-", segment.lower())
            return word.lstrip("0123456789._-")[:40].rstrip("-")
    return ""


def _prefix(document: dict[str, Any]) -> str:
    """Return the path of the first server, without a slash at its end."""
    servers = document.get("servers") or [{}]
    server = _mapping(servers[0] if isinstance(servers, list) else None, "servers")
    variables = _mapping(server.get("variables", {}), "servers")

    def default(match: re.Match[str]) -> str:
        value = variables.get(match[1])
        return str(value.get("default", match[0])) if isinstance(value, dict) else match[0]

    url = _VARIABLE.sub(default, str(server.get("url", "/")))
    try:
        path = urlsplit(url).path
    except ValueError:
        path = url
    if path and not path.startswith("/"):
        raise Refused(
            f"The server {url[:100]!r} has no path that begins with a slash."
            " Write its whole URL, or /v1."
        )
    return path.rstrip("/")


def _path_item(document: dict[str, Any], path: str, given: Any) -> dict[str, Any]:
    """Return a path's operations, from wherever in the document they are referred to."""
    item = _mapping(given, path)
    for _ in range(MAX_REFERENCES):
        if "$ref" not in item:
            return item
        reference = item["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise Refused(
                f"{path} refers to {str(reference)[:100]!r}, outside of the document."
                " Bundle all into one file first."
            )
        beside = {name: value for name, value in item.items() if name != "$ref"}
        item = _mapping(_target(document, reference), reference) | beside
    raise Refused(f"{path} refers to itself. Write its operations out.")


def _target(document: Any, reference: str) -> Any:
    for word in reference[2:].split("/"):
        name = word.replace("~1", "/").replace("~0", "~")
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{name[:100]!r} is not a mapping. Validate the document and import it then.")
    return value
