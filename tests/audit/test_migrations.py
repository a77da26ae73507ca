"""What an upgrade makes of the events that each app kept by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apikeys.models import ApiKey
from audit import chain
from audit.models import Event
from config.admin_site import roles
from customers.models import Customer
from database.uuid7 import made_at, new_id
from tests.support.factories import make_customer, make_license, make_staff

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = [
    ("audit", "0001_initial"),
    ("apikeys", "0006_index_names"),
    ("customers", "0007_index_names"),
    ("gateway", "0001_services"),
    ("jobs", "0006_rename_action_source_and_max_attempts"),
    ("auth", "0012_alter_user_first_name_max_length"),
    ("contenttypes", "0002_remove_content_type_name"),
]


@pytest.fixture
def old() -> Iterator[Any]:
    """The apps as they were before the upgrade."""
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor.loader.project_state(BEFORE).apps
    upgrade()


def upgrade() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def common(action: str, **fields: Any) -> dict[str, Any]:
    return {
        "source": "admin",
        "actor_name": "ada",
        "address": "2001:db8::1",
        "action": action,
        **fields,
    }


def test_every_event_of_every_app_is_kept(old: Any) -> None:
    user, customer = make_staff(), make_customer(name="Acme")
    license_, gone = make_license(customer, product="Pro"), new_id()
    key = old.get_model("apikeys", "ApiKey").objects.create(
        id="a" * 12, name="Billing", environment="staging"
    )
    at = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {
        ("apikeys", "Event"): [
            common(
                "revoked", key_id=key.pk, actor_id=user.pk, reason="Lost",
                changes={"status": ["active", "inactive"], "limit": [None, 1.0], "ü": ["\u2028"]},
            ),
            common("created", key_id=key.pk, created_at=at),
        ],
        ("apikeys", "PermissionEvent"): [
            common("deleted", permission_code="orders:read", changes={"label": ["Orders", None]})
        ],
        ("customers", "CustomerEvent"): [
            common("created", customer_id=customer.pk),
            common("updated", customer_id=gone),
            common("deleted", customer_id=gone, changes={"name": ["Gone", None]}),
        ],
        ("customers", "LicenseEvent"): [
            common("issued", license_id=license_.pk, address=None),
            common("renewed", license_id=license_.pk, changes={"expires_at": [None, "2027"]}),
        ],
        ("gateway", "ServiceEvent"): [common("enabled", service_name="orders")],
        ("jobs", "JobEvent"): [],
    }  # fmt: skip
    job = old.get_model("jobs", "Job").objects.create(
        key_id=key.pk, environment="staging", type="customers.export"
    )
    rows[("jobs", "JobEvent")].append(common("cancelled", job_id=job.pk))
    written = {}
    for (app, model), events in rows.items():
        for fields in events:
            made = old.get_model(app, model).objects.create(**fields)
            written[app, model, fields["action"]] = made

    upgrade()

    found = {(event.object_type, event.action): event for event in Event.objects.all()}
    revoked = found["apikeys.apikey", "revoked"]
    assert len(found) == Event.objects.count() == len(written) == 10
    assert (revoked.pk, revoked.created_at) == (
        written["apikeys", "Event", "revoked"].pk,
        written["apikeys", "Event", "revoked"].created_at,
    )
    assert (revoked.source, revoked.actor_name, revoked.actor_id) == ("admin", "ada", user.pk)
    assert (revoked.address, revoked.reason) == ("2001:db8::1", "Lost")
    assert revoked.changes == {
        "status": ["active", "inactive"], "limit": [None, 1.0], "ü": ["\u2028"],
    }  # fmt: skip
    assert {kind: (event.object_id, event.object_label, event.environment)
            for kind, event in found.items()} == {
        ("apikeys.apikey", "revoked"): (key.pk, "Billing", "staging"),
        ("apikeys.apikey", "created"): (key.pk, "Billing", "staging"),
        ("apikeys.custompermission", "deleted"): ("orders:read", "orders:read", ""),
        ("customers.customer", "created"): (str(customer.pk), "Acme", "production"),
        ("customers.customer", "updated"): (str(gone), "", ""),
        ("customers.customer", "deleted"): (str(gone), "Gone", ""),
        ("customers.license", "issued"): (str(license_.pk), "Pro for Acme", "production"),
        ("customers.license", "renewed"): (str(license_.pk), "Pro for Acme", "production"),
        ("gateway.service", "enabled"): ("orders", "orders", ""),
        ("jobs.job", "cancelled"): (str(job.pk), "customers.export", "staging"),
    }  # fmt: skip
    assert found["customers.license", "issued"].address is None
    assert chain.verify().fault is None


def test_an_event_of_another_time_than_its_id_gets_an_id_of_its_time(old: Any) -> None:
    key = old.get_model("apikeys", "ApiKey").objects.create(
        id="a" * 12, name="Demo", environment="staging"
    )
    at = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
    old.get_model("apikeys", "Event").objects.create(
        **common("created", key_id=key.pk, created_at=at)
    )

    upgrade()

    event = Event.objects.about(ApiKey.objects.get()).get()
    assert event.created_at == at
    assert abs(made_at(event.pk) - at) < timedelta(milliseconds=2)


def test_who_might_see_the_events_of_keys_may_see_the_trail(old: Any) -> None:
    content_type = old.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="apikeys", model="event"
    )[0]
    permission = old.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename="view_event", defaults={"name": "Can view"}
    )[0]
    user, stranger, group = make_staff(), make_staff(), Group.objects.create(name="Watchers")
    user.user_permissions.add(permission.pk)
    group.permissions.add(permission.pk)

    upgrade()

    assert User.objects.get(pk=user.pk).has_perm("audit.view_event")
    assert not User.objects.get(pk=stranger.pk).has_perm("audit.view_event")
    assert group.permissions.filter(content_type__app_label="audit").exists()
    assert not Permission.objects.filter(content_type__app_label="apikeys", codename="view_event")
    assert all("apikeys.view_event" not in codes for codes in roles.ROLES.values())


def test_the_customers_of_a_large_trail_need_not_exist(old: Any) -> None:
    model = old.get_model("customers", "CustomerEvent")
    model.objects.bulk_create(model(**common("updated", customer_id=new_id())) for _ in range(2500))

    upgrade()

    assert Event.objects.count() == 2500
    assert not Customer.objects.exists()
