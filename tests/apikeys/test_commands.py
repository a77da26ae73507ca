"""The key commands, as an operator or a script runs them."""

import io
import json
import re
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from rich.cells import cell_len

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.limits import by_window
from apikeys.models import ApiKey
from audit.models import Event
from tests.support.api_client import Caller
from tests.support.command_line import Run
from tests.support.factories import ACTOR, expire, issue, make_customer

pytestmark = pytest.mark.django_db

DEFAULTS = by_window(Environment.PRODUCTION.default_limits)
FIELDS = {
    "id", "name", "environment", "status", "permissions", "customer_scope", "customers", "limits",
    "networks", "expires_at", "last_used_at", "created_at", "tags", "owner", "note",
}  # fmt: skip


def test_a_key_is_made_and_printed_once_on_stdout(run: Run) -> None:
    code, out, err = run("create_api_key", "Main site", "--environment", "staging")

    assert code == 0
    assert out.count("\n") == 1
    assert out.strip() not in err
    response = Caller(out.strip(), environment="staging").get("key")
    assert response.json()["name"] == "Main site"


def test_every_setting_can_be_given(run: Run) -> None:
    customer = make_customer()
    code, out, _ = run(
        "create_api_key", "All", "--environment", "production", "--permission", "customers:read",
        "--permission", "jobs:run", "--customer", str(customer.pk), "--per-minute", "5",
        "--per-hour", "0", "--allow", "203.0.113.0/24", "--allow", "2001:db8::/32",
        "--expires", "90d", "--tag", "web", "--tag", "team:a", "--owner", "web@example.com",
        "--note", "Asked for by Ada", "--json",
    )  # fmt: skip

    made = json.loads(out)
    assert code == 0
    assert set(made) == FIELDS | {"key"}
    assert made["permissions"] == ["customers:read", "jobs:run"]
    assert (made["customer_scope"], made["customers"]) == ("selected", [str(customer.pk)])
    assert made["limits"] == DEFAULTS | {"minute": 5, "hour": 0}
    assert made["networks"] == ["203.0.113.0/24", "2001:db8::/32"]
    assert made["expires_at"].endswith("Z")
    assert (made["tags"], made["owner"], made["note"]) == (
        ["team:a", "web"], "web@example.com", "Asked for by Ada",
    )  # fmt: skip
    assert made["key"].startswith(f"lk_prod_{made['id']}_")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["Name"],
        ["Name", "--environment", "moon"],
        ["", "--environment", "production"],
        ["Name", "--environment", "production", "--permission", "customers:delete"],
        ["Name", "--environment", "production", "--customer", "x"],
        ["Name", "--environment", "production", "--customer", str(uuid4())],
        ["Name", "--environment", "production", "--per-minute", "-1"],
        ["Name", "--environment", "production", "--per-minute", "lots"],
        ["Name", "--environment", "production", "--allow", "10.0.0.1/8"],
        ["Name", "--environment", "production", "--expires", "soon"],
        ["Name", "--environment", "production", "--expires", "2020-01-01T00:00Z"],
        ["Name", "--environment", "production", "--expires", "2099-01-01"],
        ["Name", "--environment", "production", "--expires", "9999999d"],
        ["Name", "--environment", "production", "--unknown"],
        ["Two\nlines", "--environment", "production"],
        ["Name", "--environment", "production", "--tag", "Team A"],
        ["Name", "--environment", "production", "--tag", ""],
        ["Name", "--environment", "production", "--tag", "x" * 41],
        ["Name", "--environment", "production", "--owner", "x" * 101],
        ["Name", "--environment", "production", "--note", "x" * 501],
        ["Name", "--like", "000000000000"],
    ],
)
def test_bad_input_is_one_line_on_stderr_and_changes_nothing(
    run: Run, arguments: list[str]
) -> None:
    code, out, err = run("create_api_key", *arguments)

    assert (code, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert err.strip()
    assert not ApiKey.objects.exists()


HIDDEN = "A\x1b[31m\u202e\nB"


@pytest.mark.parametrize(
    "arguments",
    [
        [HIDDEN],
        ["show_api_key", HIDDEN],
        ["create_api_key", HIDDEN, "--environment", "staging"],
        ["create_api_key", "x", "--environment", HIDDEN],
        ["create_api_key", "x", "--environment", "staging", "--allow", HIDDEN],
        ["create_api_key", "x", "--environment", "staging", "--permission", HIDDEN],
        ["create_api_key", "x", "--environment", "staging", HIDDEN],
        ["create_api_key", "x", "--environment", "staging", f"--{HIDDEN}"],
        ["list_api_keys", "--status", HIDDEN],
        ["worker", "--queue", HIDDEN],
        ["export_logs", "--format", "csv", "--code", HIDDEN],
        ["migrate", HIDDEN],
        ["migrate", f"--{HIDDEN}"],
        ["migrate", "--nope"],
        ["createsuperuser", "--noinput", "--username", HIDDEN, "--email", "a@b.example"],
        ["export_logs", "--format", "csv", "--status", "\u0662\u0660\u0660"],
        ["export_logs", "--format", "csv", "--status", "2_00"],
        ["worker", "--concurrency", "\u0663"],
    ],
)
def test_what_is_refused_is_one_line_without_escape_codes(run: Run, arguments: list[str]) -> None:
    code, out, error = run(*arguments)

    assert (code, out) == (2, "")
    assert error.count("\n") == 1
    assert error.strip("\n").isprintable()


def test_a_stored_name_moves_no_cursor_on_a_terminal(run: Run) -> None:
    key = issue().key
    ApiKey.objects.filter(pk=key.pk).update(name="Pay\x1b[2J\u202eroll")

    outputs = [run(*arguments)[1] for arguments in (
        ("list_api_keys",), ("show_api_key", key.pk), ("revoke_api_key", key.pk),
    )]  # fmt: skip

    for out in outputs:
        assert r"Pay\x1b[2J\u202eroll" in out
        assert all(line.isprintable() for line in out.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ["show_api_key", "000000000000"],
        ["regenerate_api_key", "000000000000"],
        ["revoke_api_key", "000000000000"],
        ["activate_api_key", "000000000000"],
        ["update_api_key", "000000000000", "--name", "x"],
        ["regenerate_api_key", "{key}", "--overlap", "8d"],
        ["regenerate_api_key", "{key}", "--overlap", "soon"],
        ["update_api_key", "{key}", "--per-minute", "x"],
        ["update_api_key", "{key}", "--add-permission", "x"],
        ["update_api_key", "{key}", "--environment", "staging"],
        ["revoke_api_key", "{key}", "--reason", "x" * 501],
        ["list_api_keys", "--status", "odd"],
        ["list_api_keys", "--idle", "long"],
    ],
)
def test_what_cannot_be_done_exits_2_and_leaves_no_event(run: Run, arguments: list[str]) -> None:
    key = issue().key

    code, out, err = run(*(argument.format(key=key.pk) for argument in arguments))

    assert (code, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert Event.objects.about(key).count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["list_api_keys", "--idle", "999999d"],
        ["list_api_keys", "--idle", ""],
        ["create_api_key", "x", "--environment", "staging", "--per-minute", "9" * 5000],
        ["create_api_key", "x", "--environment", "staging", "--expires",
         "9999-12-31T23:59:59-23:00"],
        ["show_api_key", "\udcff"],
        ["export_logs", "--format", "csv", "--key", "\udcff"],
        ["export_logs", "--format", "csv", "--key", ""],
        ["export_logs", "--format", "csv", "--key", "nobody"],
        ["export_logs", "--format", "csv", "--after", ""],
        ["export_logs", "--format", "csv", "--status", "99999"],
        ["export_logs", "--format", "csv", "--code", "bogus"],
        ["prune_logs", "--older-than", ""],
        ["prune_logs", "--older-than", "999999d"],
        ["serve", "--foo"],
        ["worker", "--queue", "nosuchqueue"],
    ],
)  # fmt: skip
def test_input_at_its_edges_is_one_line_and_exit_2(run: Run, arguments: list[str]) -> None:
    code, out, error = run(*arguments)

    assert (code, out) == (2, "")
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_keys_are_listed_by_what_is_asked(run: Run) -> None:
    used = issue(name="Used").key
    ApiKey.objects.filter(pk=used.pk).update(last_used_at=timezone.now())
    idle = issue(name="Idle", environment=Environment.STAGING).key
    old = timezone.now() - timedelta(days=100)
    ApiKey.objects.filter(pk=idle.pk).update(created_at=old, last_used_at=old)
    gone = issue(name="Gone").key
    lifecycle.revoke(gone, actor=ACTOR)
    over = issue(name="Over").key
    expire(over)

    def names(*arguments: str) -> set[str]:
        return {row["name"] for row in json.loads(run("list_api_keys", "--json", *arguments)[1])}

    assert names() == {"Used", "Idle", "Gone", "Over"}
    assert names("--environment", "staging") == {"Idle"}
    assert names("--status", "active") == {"Used", "Idle"}
    assert names("--status", "inactive") == {"Gone"}
    assert names("--status", "expired") == {"Over"}
    assert names("--idle", "90d") == {"Idle"}


def listed(run: Run, *arguments: str) -> list[str]:
    code, out, err = run("list_api_keys", "--json", *arguments)
    assert code == 0, err
    return [row["name"] for row in json.loads(out)]


def test_keys_are_listed_by_tag_and_owner_in_the_order_asked_for(run: Run) -> None:
    now = timezone.now()
    first = issue(name="beta", tags=["web", "team:a"], owner="Zoe").key
    second = issue(name="Alpha", tags=["website"], owner="adam").key
    third = issue(name="gamma", owner="Zoe", expires_at=now + timedelta(days=9)).key
    for key, used, expires in ((first, now, 5), (second, now - timedelta(days=1), 1)):
        expires_at = now + timedelta(days=expires)
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=used, expires_at=expires_at)

    assert listed(run) == ["gamma", "Alpha", "beta"]
    assert listed(run, "--tag", "web") == ["beta"]
    assert listed(run, "--owner", "Zoe") == ["gamma", "beta"]
    assert listed(run, "--sort", "name") == ["Alpha", "beta", third.name]
    assert listed(run, "--sort", "used") == ["beta", "Alpha", "gamma"]
    assert listed(run, "--sort", "expires") == ["Alpha", "beta", "gamma"]
    assert listed(run, "--sort", "owner") == ["Alpha", "gamma", "beta"]
    assert listed(run, "--sort", "used", "--limit", "1") == ["beta"]


class Terminal(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 300])
def test_a_narrow_terminal_has_one_line_a_key_and_the_key_id_whole(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    keys = [issue(name="A name that is rather long for one column " * 2).key for _ in range(2)]
    stdout = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stdout)

    call_command("list_api_keys")

    lines = re.sub(r"\x1b\[[0-9;]*m", "", stdout.getvalue()).splitlines()
    assert len(lines) == 3
    assert [line[:12] for line in lines[1:]] == [key.pk for key in reversed(keys)]
    assert all(cell_len(line) <= width for line in lines)
    assert ("Status" in lines[0]) == (width >= 60)


def test_a_list_reads_as_a_table_and_cuts_nothing_off_in_a_pipe(run: Run) -> None:
    name = "A name that is rather long for one column of a table on a narrow terminal"
    key = issue(name=name, permissions=["licenses:manage", "jobs:run", "jobs:read"]).key

    _, out, _ = run("list_api_keys")

    assert name in out
    assert key.pk in out
    assert "License Management, Job Read +1" in out


def test_a_key_is_shown_with_its_settings(run: Run) -> None:
    key = issue(permissions=["telemetry:write"]).key

    _, text, _ = run("show_api_key", key.pk)
    _, as_json, _ = run("show_api_key", key.pk, "--json")

    assert "Telemetry Write" in text
    assert set(json.loads(as_json)) == FIELDS


def test_regenerating_prints_the_new_key_once_and_stops_the_old(run: Run) -> None:
    old = issue()

    _, out, err = run("regenerate_api_key", old.key.pk)

    assert out.strip() not in err
    assert Caller(out.strip()).get("key").status_code == 200
    assert Caller(old).get("key").status_code == 401


def test_regenerating_with_an_overlap_keeps_the_old_one_going(run: Run) -> None:
    old = issue()

    _, out, _ = run("regenerate_api_key", old.key.pk, "--overlap", "1h", "--json")

    assert json.loads(out)["key"].startswith(f"lk_prod_{old.key.pk}_")
    assert Caller(old).get("key").status_code == 200


def test_revoking_and_activating_are_safe_to_repeat(run: Run) -> None:
    key = issue().key

    codes = [run("revoke_api_key", key.pk, "--reason", "Lost")[0] for _ in range(2)]
    reason = Event.objects.about(key).latest("id").reason
    codes += [run("activate_api_key", key.pk)[0] for _ in range(2)]

    assert codes == [0, 0, 0, 0]
    assert reason == "Lost"
    assert [event.action for event in Event.objects.about(key)] == [
        "activated",
        "revoked",
        "created",
    ]


def update(run: Run, key: ApiKey, *arguments: str) -> Any:
    code, out, err = run("update_api_key", key.pk, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_an_update_changes_what_is_named_and_nothing_else(run: Run) -> None:
    key = issue(permissions=["customers:read", "jobs:read"], limit_minute=5).key

    changed = update(
        run, key, "--name", "New", "--add-permission", "jobs:run", "--remove-permission",
        "jobs:read", "--per-minute", "default", "--per-day", "9", "--allow", "10.0.0.0/8",
    )  # fmt: skip

    assert changed["name"] == "New"
    assert changed["permissions"] == ["customers:read", "jobs:run"]
    assert changed["limits"] == DEFAULTS | {"day": 9}
    assert changed["networks"] == ["10.0.0.0/8"]
    assert update(run, key, "--allow", "any")["networks"] == []
    assert (
        update(run, key, "--expires", "2099-01-31T00:00Z")["expires_at"] == "2099-01-31T00:00:00Z"
    )
    assert update(run, key, "--expires", "never")["expires_at"] is None


def test_tags_are_added_and_removed_and_texts_replaced(run: Run) -> None:
    key = issue(tags=["web", "beta"], owner="Zoe", note="Old").key

    changed = update(
        run, key, "--add-tag", "team:a", "--remove-tag", "beta", "--owner", "", "--note", "New"
    )

    assert (changed["tags"], changed["owner"], changed["note"]) == (["team:a", "web"], "", "New")
    assert Event.objects.about(key).first().changes == {
        "tags": ["beta, web", "team:a, web"], "owner": ["Zoe", "none"], "note": ["Old", "New"],
    }  # fmt: skip
    assert ApiKey.objects.get().limits == key.limits


def test_a_key_like_another_has_all_of_it_but_what_is_named(run: Run) -> None:
    customer = make_customer(environment=Environment.STAGING)
    model = issue(
        environment=Environment.STAGING, permissions=["jobs:run"], customers=[customer.pk],
        limit_minute=5, limit_day=0, networks=["10.0.0.0/8"], tags=["web"], owner="Zoe",
        note="First", expires_at=timezone.now() + timedelta(days=9),
    ).key  # fmt: skip

    _, out, _ = run("create_api_key", "Second", "--like", model.pk, "--per-day", "9", "--json")
    _, first, _ = run("show_api_key", model.pk, "--json")

    own = {"id", "key", "name", "created_at"}
    made, copied = json.loads(out), json.loads(first)
    copied["limits"] |= {"day": 9}
    assert {name: made[name] for name in made if name not in own} == {
        name: copied[name] for name in copied if name not in own
    }
    assert made["name"] == "Second"
    assert Caller(made["key"], environment="staging").get("key").status_code == 200


def test_a_key_like_one_that_expired_needs_an_expiry_of_its_own(run: Run) -> None:
    model = issue().key
    expire(model)

    refused, _, err = run("create_api_key", "Second", "--like", model.pk)
    made, _, _ = run("create_api_key", "Second", "--like", model.pk, "--expires", "1d")

    assert (refused, made) == (2, 0)
    assert "The expiry has passed." in err


class ClosingDatabase(io.TextIOWrapper):
    """A stdout after whose line the database is gone, before it could store anything."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.printed = ""
        self.is_open = True

    def write(self, text: str) -> int:
        self.printed += text
        return super().write(text)

    def flush(self) -> None:
        super().flush()
        if self.printed and self.is_open and connection.connection is not None:
            self.is_open = False
            connection.connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_after_the_key_was_printed_says_so_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = ClosingDatabase()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        code, _, err = run("create_api_key", "Lost", "--environment", "production")
    connection.close()

    key_id = stdout.printed.split("_")[2]
    assert (code, err.count("\n")) == (1, 1)
    assert f"show_api_key {key_id}" in err
    assert not ApiKey.objects.exists()


def test_an_event_names_the_operator_and_the_door(run: Run) -> None:
    run("create_api_key", "Mine", "--environment", "production")

    event = Event.objects.get()
    assert event.source == "command"
    assert event.actor_name


def test_audit_events_are_exported_by_act_key_and_time(run: Run) -> None:
    key, other = issue().key, issue().key
    lifecycle.revoke(key, actor=ACTOR, reason="Laptop lost")

    def exported(*arguments: str) -> list[tuple[str, str]]:
        code, out, err = run("export_events", *arguments)
        assert (code, err) == (0, "")
        return [(event["key"], event["action"]) for event in map(json.loads, out.splitlines())]

    assert exported() == [(key.pk, "created"), (other.pk, "created"), (key.pk, "revoked")]
    assert exported("--action", "revoked") == [(key.pk, "revoked")]
    assert exported("--key", other.pk, "--after", "1h") == [(other.pk, "created")]
    assert exported("--before", "1h") == []
    assert run("export_events", "--after", "yesterday")[0] == 2


def test_an_export_of_events_is_on_record_with_what_was_chosen(run: Run) -> None:
    issued = issue()
    run("export_events", "--key", issued.credential, "--after", "1h")

    event = Event.objects.get(action="exported")

    assert (event.object_type, event.source) == ("audit.event", "command")
    assert event.changes["filters"] == [None, f"key={issued.key.pk}&after=1h"]
