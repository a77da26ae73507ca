"""Who copies the request log, or deletes from it, is in the audit trail."""

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from tests.support.command_line import Run
from tests.support.factories import make_request, make_staff

pytestmark = pytest.mark.django_db


def test_an_export_by_page_or_command_is_on_record_with_its_filters(run: Run) -> None:
    make_request()
    user, client = make_staff("Auditor"), Client()
    client.force_login(user)

    page = client.get(reverse("admin:logs_requestlog_export", args=["csv"]), {"method": "GET"})
    assert page.status_code == 200
    assert run("export_logs", "--format", "ndjson", "--environment", "staging")[0] == 0

    by_page, by_command = Event.objects.filter(action="exported").order_by("pk")
    assert (by_page.actor_name, by_page.source) == (user.username, "admin")
    assert by_page.changes == {"format": [None, "csv"], "filters": [None, "method=GET"]}
    assert by_command.source == "command"
    assert by_command.changes["filters"] == [None, "environment=staging"]


def test_a_pruning_by_command_is_on_record_and_a_dry_run_is_not(run: Run) -> None:
    assert run("prune_logs", "--older-than", "1d", "--dry-run")[0] == 0
    assert not Event.objects.exists()

    assert run("prune_logs", "--older-than", "1d")[0] == 0

    event = Event.objects.get()
    assert (event.action, event.source) == ("pruned", "command")
    assert "older_than" in event.changes
