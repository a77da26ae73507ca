"""The staff roles: provided once every app is migrated, however the way there was."""

from pathlib import Path

import pytest

from tests.latchkey import Latchkey


@pytest.mark.parametrize("first", [["contenttypes"], ["jobs", "0002"]])
def test_migrations_may_stop_on_the_way(tmp_path: Path, first: list[str]) -> None:
    product = Latchkey(LATCHKEY_VAR=str(tmp_path))

    some = product.manage("migrate", "-v0", *first)
    rest = product.manage("migrate", "-v0")
    roles = product.manage(
        "shell", "-v0", "-c",
        "from django.contrib.auth.models import Group\n"
        "for g in Group.objects.order_by('name'): print(g.name, g.permissions.count())",
    )  # fmt: skip

    assert (some.returncode, some.stderr, rest.returncode, rest.stderr) == (0, "", 0, "")
    assert roles.stdout.splitlines() == ["Auditor 7", "Key administrator 19", "Key operator 9"]
