"""Which role each group of the identity provider gives."""

from collections.abc import Iterable

SUPERUSER = "superuser"

# A group and the role that it gives; several may give one, and one several.
Mapping = tuple[tuple[str, str], ...]


def parse_roles(text: str) -> Mapping:
    """Read ``group=Role,other group=Role``; a group's name may contain ``=``."""
    pairs = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        group, equals, role = (part.strip() for part in word.rpartition("="))
        if not (group and equals and role):
            raise ValueError(word)
        pairs.append((group, role))
    return tuple(pairs)


def roles_of(groups: Iterable[str], mapping: Mapping) -> set[str]:
    named = set(groups)
    return {role for group, role in mapping if group in named}
