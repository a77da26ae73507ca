"""A permission and what uses it, as ``--json`` prints it."""

from collections.abc import Mapping
from typing import Any

from apikeys import catalogue
from apikeys.permissions import BUILT_IN


def permission_rows(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return each of the permissions, given as code and label."""
    descriptions = dict(catalogue.custom().values_list("code", "description"))
    uses = catalogue.uses(labels)
    return [
        {
            "code": code,
            "label": label,
            "description": descriptions.get(code, ""),
            "built_in": code in BUILT_IN,
            **uses[code]._asdict(),
        }
        for code, label in labels.items()
    ]
