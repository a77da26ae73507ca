"""A dismissed finding leaves the queue until its time, or until the key is not as it was."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle as keys
from apikeys.models import ApiKey
from audit.models import Event
from database.refusals import Refused
from logs.models import PermissionUse
from review import findings, lifecycle
from review.models import Dismissal
from tests.support.factories import ACTOR, client_of, issue, make_staff

pytestmark = pytest.mark.django_db

DISMISS = reverse("admin:apikeys_apikey_dismiss")
QUEUE = reverse("admin:review_finding", args=["no-expiry"])


def days(number: float) -> timedelta:
    return timedelta(days=number)


@pytest.fixture
def staff() -> Client:
    """Somebody who may take rights from keys."""
    return client_of("Key operator")


def make_key(*, age: float = 0, used: float | None = None, **settings: Any) -> ApiKey:
    key = issue(**{"environment": "production", **settings}).key
    now = timezone.now()
    last_used_at = None if used is None else now - days(used)
    ApiKey.objects.filter(pk=key.pk).update(created_at=now - days(age), last_used_at=last_used_at)
    key.refresh_from_db()
    return key


def dismiss(key: ApiKey, name: str = "no-expiry", *, until: datetime | None = None) -> Dismissal:
    finding = findings.BY_NAME[name]
    until = until or timezone.now() + days(90)
    return lifecycle.dismiss(key, finding, reason="Asked for", until=until, actor=ACTOR)


def found(name: str = "no-expiry") -> list[str]:
    return [key.pk for key in findings.BY_NAME[name].keys(timezone.now())]


def confirm(client: Client, page: Any, **fields: str) -> Any:
    path = f"{page.request['PATH_INFO']}?{page.request['QUERY_STRING']}"
    form = {"shown": page.context["shown"], "next": page.context["next"], "until": "30d"}
    return client.post(path, {**form, "reason": "A batch job", **fields})


def test_it_leaves_queue_counts_and_the_key_and_is_on_record() -> None:
    key, other = make_key(), make_key()

    dismiss(key)

    now = timezone.now()
    assert found() == [other.pk]
    assert findings.counts(now)["no-expiry"] == 1
    assert "no-expiry" not in [finding.name for finding, _ in findings.of_key(key, now)]
    ((finding, dismissal),) = findings.dismissed_of_key(key, now)
    assert (finding.name, dismissal.by, dismissal.reason) == ("no-expiry", ACTOR.name, "Asked for")
    event = Event.objects.about(key)[0]
    assert (event.action, event.reason) == ("finding_dismissed", "Asked for")
    assert event.changes["finding"] == [None, finding.label]


def test_other_findings_of_the_key_stay() -> None:
    key = make_key()

    dismiss(key)

    assert found("no-network") == [key.pk]


def test_it_comes_back_when_its_time_is_over() -> None:
    key = make_key()
    dismiss(key)

    Dismissal.objects.update(until=timezone.now() - days(1))

    assert found() == [key.pk]


def test_it_comes_back_when_the_key_is_changed() -> None:
    key = make_key()
    dismiss(key)

    keys.update(key, actor=ACTOR, limit_minute=7)

    assert found() == [key.pk]


def test_an_unused_key_comes_back_once_it_was_used() -> None:
    key, never = make_key(age=300, used=200), make_key(age=250)
    dismiss(key, "unused", until=timezone.now() + days(365))
    dismiss(never, "unused", until=timezone.now() + days(365))
    assert found("unused") == []

    # As it is half a year later: it was used after the dismissal, and is idle again.
    Dismissal.objects.update(created_at=timezone.now() - days(180))
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now() - days(100))

    assert found("unused") == [key.pk]


def test_unused_permissions_come_back_with_another_one() -> None:
    key = make_key(permissions=["customers:read", "jobs:run", "logs:read"], age=60, used=0)
    for permission in ("customers:read", "jobs:run"):
        PermissionUse.objects.create(key=key, permission=permission, last_used_at=timezone.now())
    dismiss(key, "permissions")
    assert found("permissions") == []

    PermissionUse.objects.filter(permission="jobs:run").update(
        last_used_at=timezone.now() - days(40)
    )

    assert found("permissions") == [key.pk]


def test_it_can_be_brought_back_with_an_event(staff: Client) -> None:
    key = make_key()
    dismiss(key)

    staff.post(f"{reverse('admin:apikeys_apikey_bring_back')}?finding=no-expiry", {"key": [key.pk]})

    assert found() == [key.pk]
    assert Event.objects.about(key)[0].action == "finding_brought_back"


@pytest.mark.parametrize(
    ("reason", "until", "told"),
    [
        ("", days(30), "needs a reason"),
        ("Fine", days(0), "out of range"),
        ("Fine", days(400), "out of range"),
    ],
)
def test_a_dismissal_without_reason_or_end_is_refused(
    reason: str, until: timedelta, told: str
) -> None:
    key = make_key()

    with pytest.raises(Refused, match=told):
        lifecycle.dismiss(
            key,
            findings.BY_NAME["no-expiry"],
            reason=reason,
            until=timezone.now() + until,
            actor=ACTOR,
        )

    assert found() == [key.pk]


def test_the_page_shows_what_it_dismisses_and_goes_back(staff: Client) -> None:
    key, other = make_key(name="Nightly"), make_key()
    address = f"{DISMISS}?finding=no-expiry&key={key.pk}&next={QUEUE}"

    page = staff.get(address)
    answer = confirm(staff, page)

    assert "Nightly" in page.text
    assert "Dismiss 1 finding" in page.text
    assert (answer.status_code, answer["Location"]) == (302, QUEUE)
    assert found() == [other.pk]
    dismissed = staff.get(f"{QUEUE}?dismissed=1").text
    assert "Nightly" in dismissed
    assert "A batch job" in dismissed
    assert "1 dismissed" in staff.get(QUEUE).text
    on_its_page = staff.get(reverse("admin:apikeys_apikey_change", args=[key.pk])).text
    assert "dismissed by" in on_its_page


def test_a_key_that_changed_meanwhile_has_none_dismissed(staff: Client) -> None:
    changed, other = make_key(), make_key()
    page = staff.get(f"{DISMISS}?finding=no-expiry&key={changed.pk}&key={other.pk}")
    keys.update(changed, actor=ACTOR, limit_minute=7)

    answer = confirm(staff, page)

    assert answer.status_code == 409
    assert "has changed since" in answer.text
    assert set(found()) == {changed.pk, other.pk}


def test_who_may_not_change_keys_may_not_dismiss() -> None:
    key = make_key()
    client = Client()
    client.force_login(make_staff("Auditor"))

    answers = [
        client.get(f"{DISMISS}?finding=no-expiry&key={key.pk}"),
        client.post(f"{DISMISS}?finding=no-expiry&key={key.pk}"),
        client.post(f"{reverse('admin:apikeys_apikey_bring_back')}?finding=no-expiry"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert "Dismiss" not in client.get(QUEUE).text


def test_another_site_is_no_way_back(staff: Client) -> None:
    key = make_key()
    page = staff.get(f"{DISMISS}?finding=no-expiry&key={key.pk}&next=//evil.example/")

    assert confirm(staff, page, next="https://evil.example/")["Location"] == QUEUE


def test_all_keys_of_a_finding_are_selected_at_once() -> None:
    staff = Client()
    staff.force_login(make_staff("Key administrator"))
    ids = {make_key().pk for _ in range(53)}
    queue = staff.get(QUEUE)
    assert "All 53 keys of this finding" in queue.text

    dismissing = staff.get(f"{DISMISS}?finding=no-expiry&all=no-expiry")
    proposing = staff.get(f"{reverse('admin:apikeys_apikey_propose')}?all=no-expiry&expires=90d")

    assert {key.pk for key, _ in dismissing.context["rows"]} == ids
    assert {one.key.pk for one in proposing.context["changed"]} == ids
    assert len(re.findall("Nothing is changed yet", proposing.text)) == 1


def test_of_many_keys_the_most_urgent_are_selected(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("review.selection.MAX_CHANGED", 2)
    oldest = [make_key(age=age).pk for age in (30, 20, 10)]

    page = staff.get(f"{DISMISS}?finding=no-expiry&all=no-expiry")

    assert [key.pk for key, _ in page.context["rows"]] == oldest[:2]
    assert staff.get(f"{DISMISS}?finding=no-expiry&all=nothing").status_code == 400
