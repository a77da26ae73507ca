"""A manifest makes what it says, changes what its owner made, and nothing else."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import reverse

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.models import ApiKey, CustomPermission
from audit.models import Event
from customers.models import Customer
from gateway import lifecycle as service_lifecycle
from gateway.models import Service
from provisioning.models import ManagedObject
from tests.support.command_line import Run
from tests.support.factories import ACTOR, issue, make_staff
from tests.support.hand_overs import Recipient
from tests.support.product import ROOT, Latchkey

pytestmark = pytest.mark.django_db

KEY = {
    "environment": "production",
    "name": "Invoice reader",
    "permissions": ["invoices:read"],
    "customers": ["CRM-77"],
    "limits": {"minute": 60},
    "networks": ["203.0.113.0/24"],
    "expires_at": "2099-01-31T00:00:00Z",
    "tags": ["web", "billing"],
    "owner": "web@example.com",
    "note": "Reads invoices",
}
WHOLE = {
    "owner": "platform",
    "permissions": [{"code": "invoices:read", "label": "Read invoices"}],
    "services": [{"name": "invoices", "rules": ["GET,HEAD /v1/** invoices:read"]}],
    "customers": [{"environment": "production", "external_reference": "CRM-77", "name": "Contoso"}],
    "keys": [KEY],
}
Apply = Callable[..., tuple[int, str, str]]


def with_key(**fields: Any) -> dict[str, Any]:
    """Return the manifest with other fields of its key."""
    return WHOLE | {"keys": [KEY | fields]}


@pytest.fixture
def apply(run: Run, tmp_path: Path) -> Apply:
    """Write a manifest, and give it to a command."""

    def call(
        manifest: dict[str, Any], *options: str, command: str = "apply"
    ) -> tuple[int, str, str]:
        path = tmp_path / "manifest.yaml"
        path.write_text(json.dumps(manifest, indent=1))
        return run(command, str(path), *options)

    return call


def test_everything_is_made_and_each_new_key_printed_once_as_a_line(apply: Apply) -> None:
    code, out, err = apply(WHOLE)

    [line] = [json.loads(line) for line in out.splitlines()]
    key = ApiKey.objects.get(pk=line["id"])
    assert code == 0
    assert (key.name, key.permissions, key.limit_minute) == (KEY["name"], ("invoices:read",), 60)
    assert [str(customer) for customer in key.customers.all()] == ["Contoso"]
    assert Service.objects.get(name="invoices").rule_lines[0].path == "/v1/**"
    assert "+ create key production/Invoice reader" in err
    assert line["key"] not in err


def test_a_second_run_changes_nothing_and_records_nothing(apply: Apply) -> None:
    apply(WHOLE)
    events = Event.objects.count()

    code, out, err = apply(WHOLE)

    assert (code, out) == (0, "")
    assert "4 unchanged" in err
    assert Event.objects.count() == events


def test_a_field_that_is_not_written_is_not_managed(apply: Apply) -> None:
    apply(WHOLE)
    key = ApiKey.objects.get(name=KEY["name"])
    lifecycle.update(key, actor=ACTOR, limit_hour=7)

    code, _, err = apply(WHOLE)

    key.refresh_from_db()
    assert (code, key.limit_hour) == (0, 7)
    assert "4 unchanged" in err


def test_what_was_changed_by_hand_is_changed_back(apply: Apply) -> None:
    apply(WHOLE)
    key = ApiKey.objects.get(name=KEY["name"])
    lifecycle.update(key, actor=ACTOR, name="Renamed", limit_minute=5)

    apply(WHOLE, "--allow-widening")

    key.refresh_from_db()
    assert (key.name, key.limit_minute) == (KEY["name"], 60)


@pytest.mark.parametrize(
    ("fields", "gained"),
    [
        ({"permissions": ["invoices:read", "logs:read"]}, "permissions logs:read"),
        ({"customers": "all"}, "customers all"),
        ({"limits": {"minute": 61}}, "limits.minute 61"),
        ({"networks": []}, "networks any"),
        ({"expires_at": "never"}, "expires_at never"),
    ],
)
def test_a_key_gains_rights_only_where_that_is_allowed(
    apply: Apply, fields: dict[str, Any], gained: str
) -> None:
    apply(WHOLE)
    revision = ApiKey.objects.get(name=KEY["name"]).revision

    code, out, err = apply(with_key(**fields))
    kept = ApiKey.objects.get(name=KEY["name"]).revision
    allowed, _, _ = apply(with_key(**fields), "--allow-widening")

    assert (code, out, kept) == (2, "", revision)
    assert f"!   production/Invoice reader: {gained}" in err
    assert allowed == 0
    assert ApiKey.objects.get(name=KEY["name"]).revision == revision + 1


def test_a_key_loses_rights_without_a_word(apply: Apply) -> None:
    apply(WHOLE)

    code, _, err = apply(with_key(limits={"minute": 6}))

    assert code == 0
    assert "!" not in err
    assert ApiKey.objects.get(name=KEY["name"]).limit_minute == 6


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (with_key(permisions=[]), "'permisions' is not a field here. Did you mean 'permissions'?"),
        (with_key(environment="prod"), "'prod' is not one of them. Did you mean 'production'?"),
        (with_key(limits={"minut": 5}), "'minut' is not a field here. Did you mean 'minute'?"),
        (with_key(expires_at="tomorrow"), "'tomorrow' is no expiry."),
        (with_key(networks=["10.0.0.1/8"]), "10.0.0.1/8 is not a network."),
        (with_key(permissions=["invoice:read"]), "'invoice:read' is not a permission."),
        (with_key(customers=["CRM-78"]), "There is no production customer"),
        (WHOLE | {"keys": [KEY, KEY]}, "is declared at"),
        ({"keys": []}, "'owner' is missing."),
        (WHOLE | {"services": [{"name": "a", "rules": ["GET /"]}]}, "has not three parts"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line_and_nothing_is_made(
    apply: Apply, manifest: dict[str, Any], message: str
) -> None:
    code, out, err = apply(manifest)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err
    assert "manifest.yaml:" in err
    assert not ManagedObject.objects.exists()
    assert not Service.objects.exists()


def test_a_refusal_names_the_line_of_the_field(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("owner: a\nkeys:\n  - name: b\n    environment: staging\n    limit: 3\n")

    assert f"{path}:5: 'limit' is not a field here." in run("apply", str(path))[2]


def test_a_manifest_that_holds_a_key_is_refused_without_repeating_it(apply: Apply) -> None:
    credential = issue().credential

    code, _, err = apply(with_key(name=credential))

    assert code == 2
    assert "holds an API key" in err
    assert credential[-38:] not in err


def test_what_the_owner_did_not_make_is_neither_changed_nor_pruned(apply: Apply) -> None:
    other = issue(name="Somebody's", permissions=["logs:read"]).key
    same = {"environment": "production", "name": "Somebody's"}

    alike = apply(WHOLE | {"keys": [same | {"permissions": ["logs:read"]}]})
    differing = apply(WHOLE | {"keys": [same | {"permissions": []}]})
    apply({"owner": "platform"}, "--prune")

    other.refresh_from_db()
    assert (alike[0], differing[0]) == (0, 2)
    assert "was not made by 'platform'" in differing[2]
    assert not other.is_revoked
    assert other.permissions == ("logs:read",)


def test_another_owner_cannot_take_over(apply: Apply) -> None:
    apply(WHOLE)

    code, _, err = apply(with_key(limits={"minute": 1}) | {"owner": "rivals"})

    assert code == 2
    assert "was not made by 'rivals'" in err


def test_what_another_owner_makes_anew_is_not_pruned_by_the_first(apply: Apply) -> None:
    permission = {"permissions": [{"code": "invoices:read", "label": "Read invoices"}]}
    apply({"owner": "platform", **permission})
    CustomPermission.objects.all().delete()

    apply({"owner": "billing", **permission})
    apply({"owner": "platform"}, "--prune")

    assert ManagedObject.objects.get().owner_id == "billing"
    assert CustomPermission.objects.exists()


def test_pruning_revokes_keys_and_deletes_the_rest_that_is_not_in_use(apply: Apply) -> None:
    apply(WHOLE)

    untouched = apply({"owner": "platform"})
    code, _, err = apply({"owner": "platform"}, "--prune")

    assert "0 to revoke" in untouched[2]
    assert code == 0
    assert "- revoke key production/Invoice reader" in err
    assert ApiKey.objects.get(name=KEY["name"]).is_revoked
    assert not Service.objects.exists()
    assert not Customer.objects.exists()
    # The revoked key holds it still.
    assert CustomPermission.objects.filter(code="invoices:read").exists()
    assert "kept: invoices:read is held by" in err


def test_a_name_that_was_pruned_makes_another_key(apply: Apply) -> None:
    apply(WHOLE)
    apply({"owner": "platform"}, "--prune")

    code, out, _ = apply(WHOLE)

    assert code == 0
    assert json.loads(out)["name"] == KEY["name"]
    assert ApiKey.objects.filter(name=KEY["name"]).count() == 2


def test_a_key_that_was_revoked_by_hand_stays_revoked(apply: Apply) -> None:
    apply(WHOLE)
    key = ApiKey.objects.get(name=KEY["name"])
    lifecycle.revoke(key, actor=ACTOR)

    code, out, err = apply(WHOLE)

    key.refresh_from_db()
    assert (code, out, key.is_revoked) == (0, "", True)
    assert "is revoked, and stays so" in err


def test_a_dry_run_and_diff_show_the_plan_and_do_nothing(apply: Apply) -> None:
    dry = apply(WHOLE, "--dry-run")
    different = apply(WHOLE, command="diff")
    untouched = ApiKey.objects.count()
    apply(WHOLE)
    alike = apply(WHOLE, command="diff")

    assert untouched == 0
    assert (dry[0], different[0], alike[0]) == (0, 3, 0)
    assert dry[1] == different[1]
    assert "+ create key production/Invoice reader" in dry[1]
    assert "lk_" not in dry[1]


def test_an_export_applied_where_it_came_from_changes_nothing(apply: Apply, run: Run) -> None:
    apply(WHOLE)
    issue(environment=Environment.STAGING, name="Another")

    _, out, err = run("export")

    exported = yaml.safe_load(out)
    assert {key["name"] for key in exported["keys"]} == {KEY["name"], "Another"}
    assert apply(exported, command="diff")[0] == 0
    assert err == ""


def test_an_export_of_one_environment_has_no_other(apply: Apply, run: Run) -> None:
    apply(WHOLE)
    issue(environment=Environment.STAGING)

    exported = yaml.safe_load(run("export", "--environment", "staging")[1])

    assert {key["environment"] for key in exported["keys"]} == {"staging"}
    assert exported["customers"] == []


def test_drift_is_shown_on_the_keys_page(apply: Apply, client: Client) -> None:
    apply(WHOLE)
    key = ApiKey.objects.get(name=KEY["name"])
    client.force_login(make_staff("Key administrator"))
    address = reverse("admin:apikeys_apikey_change", args=[key.pk])

    before = client.get(address, follow=True).content.decode()
    lifecycle.update(key, actor=ACTOR, limit_minute=5)
    after = client.get(address, follow=True).content.decode()

    assert "Declared by <strong>platform</strong>" in before
    assert "Changed by hand since it was applied" not in before
    assert "Changed by hand since it was applied" in after


def test_drift_is_shown_on_the_services_page(apply: Apply, client: Client) -> None:
    apply({"owner": "platform", "services": [{"name": "invoices", "enabled": True}]})
    service = Service.objects.get()
    client.force_login(make_staff("Key administrator"))
    address = reverse("admin:gateway_service_change", args=[service.pk])

    before = client.get(address).content.decode()
    service_lifecycle.update(service, actor=ACTOR, fields={"is_enabled": False})
    after = client.get(address).content.decode()

    assert "Declared by <strong>platform</strong>" in before
    assert "Changed by hand since it was applied" not in before
    assert "Changed by hand since it was applied" in after


def test_of_two_applies_at_once_one_waits(latchkey: Latchkey, tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    keys = [{"environment": "production", "name": f"At once {number}"} for number in range(20)]
    path.write_text(json.dumps({"owner": "at-once", "keys": keys}))

    def apply_once(_: int) -> Any:
        # With a variable of its own each is a process of its own.
        return latchkey.manage("apply", str(path), LATCHKEY_TEST="1")

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(apply_once, range(3)))

    made = [line for ended in done for line in ended.stdout.splitlines()]
    assert [ended.returncode for ended in done] == [0, 0, 0], [ended.stderr for ended in done]
    assert sorted(json.loads(line)["name"] for line in made) == sorted(k["name"] for k in keys)


def test_a_key_that_cannot_be_printed_is_not_made(latchkey: Latchkey, tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    key = {"environment": "production", "name": "Never printed"}
    path.write_text(json.dumps({"owner": "full-disk", "keys": [key]}))

    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "manage.py", "apply", str(path)]
        ended = subprocess.run(
            command, cwd=ROOT, env=latchkey.environment, stdout=full, stderr=subprocess.PIPE
        )

    assert ended.returncode == 1
    assert "Never printed" not in latchkey.manage("list_api_keys", "--json").stdout


def test_the_documented_manifest_is_applied(run: Run, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "manifests.md").read_text()
    path = tmp_path / "manifest.yaml"
    [shown] = re.findall(r"```yaml manifest.yaml\n(.*?)```", text, re.DOTALL)
    path.write_text(shown)
    commands = re.findall(r"manage\.py (\w+) manifest\.yaml", text)

    assert [run(command, str(path))[0] for command in commands] == [3, 0]
    assert run("diff", str(path))[0] == 0

    path.write_text(path.read_text().replace("    permissions:", "    permisions:"))
    [message] = re.findall(r"```text\nmanifest.yaml(.*?)\n```", text)
    assert run("apply", str(path))[2] == f"CommandError: {path}{message}\n"


def test_what_is_stored_moves_no_cursor_where_the_plan_is_printed(apply: Apply) -> None:
    customer = {"environment": "production", "external_reference": "CRM-77", "name": "Contoso"}
    stored = {"owner": "platform", "customers": [customer | {"metadata": {"note": "\x9b2J\u202e"}}]}
    apply(stored)

    for options in ((), ("--dry-run",)):
        _, out, err = apply(WHOLE | {"customers": [customer | {"metadata": {}}]}, *options)
        assert "\\x9b2J\\u202e" in out + err
        assert not {"\x9b", "\u202e"} & set(out + err)
        apply(stored)


def test_new_keys_can_become_links_and_the_second_run_makes_none(apply: Apply) -> None:
    code, out, _ = apply(WHOLE, "--hand-over", "24")
    again = apply(WHOLE, "--hand-over", "24")

    (made,) = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert (made["status"], made["key"]) == ("awaiting_hand_over", None)
    assert ApiKey.objects.get().status == "awaiting_hand_over"
    assert Recipient().confirms(made["hand_over_url"]).status_code == 200
    assert again[:2] == (0, "")


@pytest.mark.parametrize("hours", ["0", "169", "soon"])
def test_a_link_of_no_such_time_applies_nothing(apply: Apply, hours: str) -> None:
    code, out, err = apply(WHOLE, "--hand-over", hours)

    assert (code, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert not ApiKey.objects.exists()
