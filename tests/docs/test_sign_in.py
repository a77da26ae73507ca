"""What the guide to signing in says to set and to run does what it says."""

import shlex
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from audit.models import Event
from config.env import Variables
from people.oidc.configuration import check_provider, read_issuer, read_roles
from tests.docs.test_docs import blocks
from tests.support.factories import make_staff

GUIDE = "docs/sign-in.md"


@pytest.mark.django_db
def test_the_settings_are_complete_and_name_roles_that_exist() -> None:
    lines = [line for line in blocks(GUIDE, "sh") if line.startswith("OIDC_")]
    values: dict[str, Any] = dict(line.split("=", 1) for line in lines)
    variables = Variables(values)
    issuer = read_issuer(variables, "OIDC_ISSUER", "")
    roles = read_roles(variables, "OIDC_ROLES", "")

    check_provider(
        issuer, values["OIDC_CLIENT_ID"], values["OIDC_CLIENT_SECRET"], roles, is_only=True
    )

    known = {*Group.objects.values_list("name", flat=True), "superuser"}
    assert {role for _, role in roles} <= known


@pytest.mark.django_db(transaction=True)
def test_the_command_resets_the_factors() -> None:
    account = make_staff()
    account.username = "ada"
    account.save()
    (line,) = [line for line in blocks(GUIDE, "sh") if "manage.py" in line]

    call_command(*shlex.split(line.partition("manage.py ")[2]))

    event = Event.objects.get(action="second_factor_reset")
    assert (event.object_label, event.reason) == ("ada", "Phone lost, recognized by voice")
