"""The permission catalogue."""

import pytest

from apikeys import permissions
from apikeys.permissions import Permission


def test_the_catalogue_is_the_published_one() -> None:
    assert dict(Permission.choices) == {
        "customers:read": "Customer Read",
        "customers:write": "Customer Write",
        "licenses:read": "License Read",
        "licenses:manage": "License Management",
        "telemetry:read": "Telemetry Read",
        "telemetry:write": "Telemetry Write",
        "jobs:read": "Job Read",
        "jobs:run": "Job Run",
        "logs:read": "Log Read",
    }


def test_no_code_is_part_of_another_because_keys_are_found_by_part_of_their_text() -> None:
    assert not [(a, b) for a in Permission for b in Permission if a is not b and a in b]


def test_codes_are_put_in_order_and_once() -> None:
    assert permissions.ordered(["jobs:run", "customers:read", "jobs:run"]) == (
        "customers:read",
        "jobs:run",
    )


def test_an_unknown_code_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="customers:delete"):
        permissions.ordered(["customers:read", "customers:delete"])
