"""What an event changed, for people: a value before and after, or what a list lost and got."""

from typing import Any, NamedTuple

# In the text of one value, these stand between the items of a list.
SEPARATORS = ("\n", ", ")


class Difference(NamedTuple):
    """One field: the items of a list that went and came, or one value or none before and after."""

    name: str
    is_list: bool
    removed: list[str]
    added: list[str]


def differences(changes: dict[str, Any]) -> list[Difference]:
    return [_difference(name, *_pair(pair)) for name, pair in changes.items()]


def _pair(pair: Any) -> tuple[Any, Any]:
    return (pair[0], pair[1]) if isinstance(pair, list) and len(pair) == 2 else (None, pair)


def _difference(name: str, before: Any, after: Any) -> Difference:
    lists = _items(before), _items(after)
    if None in lists or not any(len(items or ()) > 1 for items in lists):
        return Difference(name, False, _value(before), _value(after))
    old, new = lists[0] or [], lists[1] or []
    removed = [item for item in old if item not in new]
    return Difference(name, True, removed, [item for item in new if item not in old])


def _items(value: Any) -> list[str] | None:
    """Return the items of a list, or of a text that is one; None for what is no list."""
    if value is None:
        return []
    if isinstance(value, list):
        return [str(item) for item in value]
    if not isinstance(value, str):
        return None
    for separator in SEPARATORS:
        if separator in value:
            return value.split(separator)
    return [value] if value not in {"none", "any", "all", ""} else []


def _value(value: Any) -> list[str]:
    return [] if value is None else [str(value)]
