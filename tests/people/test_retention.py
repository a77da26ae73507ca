"""Sessions that have expired are deleted, and what is listed of them."""

from datetime import timedelta
from importlib import import_module

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from database.periodic_tasks import declared
from tests.support.factories import PASSWORD, make_staff

pytestmark = pytest.mark.django_db


def signed_in() -> Client:
    client = Client()
    fields = {"username": make_staff("Auditor").username, "password": PASSWORD}
    client.post(reverse("admin:login"), fields)
    return client


def prune() -> None:
    (task,) = (task for task in declared("periodic_tasks") if task.name == "pruning of sessions")
    task.run(timezone.now())


def test_expired_sessions_are_deleted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    alive, clients = signed_in(), [signed_in() for _ in range(5)]
    gone = [client.session.session_key for client in clients]
    past = timezone.now() - timedelta(seconds=1)
    Session.objects.filter(session_key__in=gone).update(expire_date=past)
    monkeypatch.setattr(import_module("people.retention"), "BATCH", 2)

    prune()

    assert not Session.objects.filter(session_key__in=gone).exists()
    assert UserSession.objects.get().session_key == alive.session.session_key
    assert alive.get(reverse("admin:index")).status_code == 200


def test_a_session_that_was_ended_is_listed_no_more() -> None:
    client = signed_in()
    Session.objects.all().delete()

    prune()

    assert not UserSession.objects.exists()
    assert client.get(reverse("admin:index")).status_code == 302
