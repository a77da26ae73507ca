"""What ``--help`` of each command says, and what is probably meant by a word that is none."""

import shlex
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import DjangoHelpFormatter

from config.settings import BASE_DIR
from tests.support.command_line import Run
from tests.support.factories import issue

OWN = {app.name for app in apps.get_app_configs() if Path(app.path).parent == BASE_DIR}
COMMANDS = {name: app for name, app in sorted(get_commands().items()) if app in OWN}
# Of a deployment, which run as they are.
PLAIN = {"bootstrap", "serve", "write_docs"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_of_a_command_is_explained(name: str) -> None:
    parser = load_command_class(COMMANDS[name], name).create_parser("manage.py", name)

    own = [
        action
        for action in parser._actions
        if not set(action.option_strings) & DjangoHelpFormatter.show_last
    ]
    assert [action.dest for action in own if not action.help] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in PLAIN])
def test_the_examples_of_a_command_are_commands(name: str) -> None:
    command = load_command_class(COMMANDS[name], name)
    parser = command.create_parser("manage.py", name)

    assert command.examples
    for example in command.examples:
        first, *arguments = shlex.split(example)
        assert first == name
        parser.parse_args(arguments)
        assert f"  manage.py {example}\n" in f"{parser.format_help()}\n"


def test_the_help_lists_the_codes_of_permissions_and_of_problems(run: Run) -> None:
    _, permissions, _ = run("create_api_key", "--help")
    _, problems, _ = run("export_logs", "--help")

    assert "  customers:read           Customer Read\n" in permissions
    assert "  key_revoked              The API key was revoked\n" in problems


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["create_api_kye"], "Did you mean 'create_api_key'?"),
        (["create_api_key", "x", "--environment", "prod"], "Did you mean 'production'?"),
        (["list_api_keys", "--status", "activ"], "Did you mean 'active'?"),
        (["export_logs", "--format", "csv", "--code", "key_revokd"], "Did you mean 'key_revoked'?"),
        (["export_logs", "--format", "csv", "--status", "99"], "Use 100 to 599."),
        (["worker", "--queue", "defualt"], "Did you mean 'default'?"),
        (
            ["create_api_key", "x", "--environment", "staging", "--permission", "customer:read"],
            "Did you mean 'customers:read'?",
        ),
        (
            ["create_api_key", "x", "--environment", "staging", "--permission", "zzz"],
            "Run list_permissions to see the codes.",
        ),
    ],
)
def test_a_word_that_is_none_is_told_what_was_probably_meant(
    run: Run, arguments: list[str], meant: str
) -> None:
    code, out, err = run(*arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert meant in err


@pytest.mark.django_db
@pytest.mark.parametrize("form", ["{id}", "lk_prod_{id}", "lk_dev_{id}", " lk_prod_{id} "])
def test_a_key_id_is_taken_alone_and_as_its_credential_begins(run: Run, form: str) -> None:
    key = issue(name="Mine").key
    written = form.format(id=key.pk)

    outputs = [
        run("show_api_key", written),
        run("update_api_key", written, "--note", "x"),
        run("revoke_api_key", written),
        run("activate_api_key", written),
        run("regenerate_api_key", written),
        run("export_events", "--key", written),
        run("create_api_key", "Other", "--like", written),
    ]

    assert [code for code, _, _ in outputs] == [0] * len(outputs)
    assert not any("whole API key" in err for _, _, err in outputs)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "command", ["show_api_key {}", "revoke_api_key {}", "export_logs --format csv --key {}"]
)
def test_a_pasted_credential_is_cut_to_its_key_id_and_never_repeated(
    run: Run, command: str
) -> None:
    issued = issue()
    secret = issued.credential.rpartition("_")[2]

    code, out, err = run(*command.format(issued.credential).split())
    recorded = run("export_events")[1]

    assert code == 0
    assert f"the key id {issued.key.pk} is enough" in err
    assert secret not in out + err + recorded
