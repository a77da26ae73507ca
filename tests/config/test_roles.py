"""The staff roles: provided once every app is migrated, however the way there was."""

from pathlib import Path

from tests.support.product import Latchkey


def test_migrations_may_stop_on_the_way(tmp_path: Path) -> None:
    product = Latchkey(LATCHKEY_VAR=str(tmp_path))

    begun = product.manage("migrate", "-v0", "contenttypes")
    some = product.manage("migrate", "-v0", "jobs", "0002")
    rest = product.manage("migrate", "-v0")
    roles = product.manage(
        "shell", "-v0", "-c",
        "from django.contrib.auth.models import Group\n"
        "for g in Group.objects.order_by('name'): print(g.name, g.permissions.count())",
    )  # fmt: skip

    assert (begun.returncode, begun.stderr) == (0, "")
    assert (some.returncode, some.stderr, rest.returncode, rest.stderr) == (0, "", 0, "")
    assert roles.stdout.splitlines() == ["Auditor 9", "Key administrator 27", "Key operator 11"]
