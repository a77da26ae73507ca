"""Moves the events that each app kept by itself into the one trail, with the right to see them.

By SQL: a million events of keys take seconds, and took minutes one by one.
"""

from datetime import timedelta

from django.db import migrations

from database.uuid7 import id_at, made_at

# The demo data gave its events times of long ago; the id's time is the event's now.
MAX_SKEW = timedelta(seconds=2)
CHUNK = 1000

MOVE = """
INSERT INTO audit_event (id, created_at, source, actor_name, address, action, object_type,
    object_id, object_label, environment, actor_id, reason, changes)
SELECT event.id, event.created_at, event.source, event.actor_name, {address}, event.action,
    '{object_type}', {object_id}, {label}, {environment}, {actor}, {reason}, {changes}
FROM {events} event {join}
"""
# Of a customer that is gone, the event of its deletion alone keeps the name.
NAME_OF_CUSTOMER = (
    "CASE event.action WHEN 'deleted' THEN coalesce({deleted_name}, '')"
    " ELSE coalesce(customer.name, '') END"
)
MOVED = (
    {
        "events": "apikeys_event",
        "join": "JOIN apikeys_apikey object ON object.id = event.key_id",
        "object_type": "apikeys.apikey",
        "object_id": "event.key_id",
        "label": "object.name",
        "environment": "object.environment",
        "actor": "event.actor_id",
        "reason": "event.reason",
    },
    {
        "events": "apikeys_permissionevent",
        "object_type": "apikeys.custompermission",
        "object_id": "event.permission_code",
        "label": "event.permission_code",
    },
    {
        "events": "customers_customerevent",
        "join": "LEFT JOIN customers_customer customer ON customer.id = event.customer_id",
        "object_type": "customers.customer",
        "object_id": "{customer_id}",
        "label": NAME_OF_CUSTOMER,
        "environment": "coalesce(customer.environment, '')",
    },
    {
        "events": "customers_licenseevent",
        "join": "JOIN customers_license object ON object.id = event.license_id"
        " LEFT JOIN customers_customer customer ON customer.id = object.customer_id",
        "object_type": "customers.license",
        "object_id": "{license_id}",
        "label": "substr(object.product || ' for ' || coalesce(customer.name, ''), 1, 200)",
        "environment": "object.environment",
    },
    {
        "events": "gateway_serviceevent",
        "object_type": "gateway.service",
        "object_id": "event.service_name",
        "label": "event.service_name",
    },
    {
        "events": "jobs_jobevent",
        "join": "JOIN jobs_job object ON object.id = event.job_id",
        "object_type": "jobs.job",
        "object_id": "{job_id}",
        "label": "object.type",
        "environment": "object.environment",
        "changes": "'{{}}'",
    },
)
REST = {"join": "", "environment": "''", "actor": "NULL", "reason": "''"}


def _parts(vendor):
    """Return how each database writes what differs between them."""
    if vendor == "postgresql":
        return {
            "address": "host(event.address)",
            "changes": "event.changes::text",
            "deleted_name": "event.changes -> 'name' ->> 0",
            "customer_id": "event.customer_id::text",
            "license_id": "event.license_id::text",
            "job_id": "event.job_id::text",
        }
    return {
        "address": "event.address",
        "changes": "event.changes",
        "deleted_name": "json_extract(event.changes, '$.name[0]')",
        "customer_id": _hyphenated("event.customer_id"),
        "license_id": _hyphenated("event.license_id"),
        "job_id": _hyphenated("event.job_id"),
    }


def _hyphenated(column):
    places = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return " || '-' || ".join(f"substr({column}, {first}, {size})" for first, size in places)


def move_events(apps, schema_editor):
    parts = _parts(schema_editor.connection.vendor)
    with schema_editor.connection.cursor() as cursor:
        for kind in MOVED:
            cursor.execute(
                MOVE.format(
                    **{"changes": parts["changes"], "address": parts["address"], **REST}
                    | {name: text.format(**parts) for name, text in kind.items()}
                )
            )
    give_ids_of_their_time(apps.get_model("audit", "Event").objects)


def give_ids_of_their_time(events):
    rows = events.values_list("pk", "created_at").iterator(CHUNK)
    strangers = [(pk, at) for pk, at in rows if abs(made_at(pk) - at) > MAX_SKEW]
    for pk, created_at in strangers:
        events.filter(pk=pk).update(id=id_at(created_at))


def move_permission(apps, schema_editor):
    """Whoever may see the events of keys may see the trail."""
    types = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    old = permissions.filter(content_type__app_label="apikeys", codename="view_event").first()
    if old is None:
        return
    content_type, _ = types.get_or_create(app_label="audit", model="event")
    new, _ = permissions.get_or_create(
        content_type=content_type,
        codename="view_event",
        defaults={"name": "Can view audit event"},
    )
    for holder in (*old.group_set.all(), *old.user_set.all()):
        held = getattr(holder, "permissions", None) or holder.user_permissions
        held.add(new)
    old.delete()
    types.filter(app_label="apikeys", model="event").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_initial"),
        ("apikeys", "0006_index_names"),
        ("customers", "0007_index_names"),
        ("gateway", "0001_services"),
        ("jobs", "0006_rename_action_source_and_max_attempts"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(move_events, migrations.RunPython.noop, elidable=False),
        migrations.RunPython(move_permission, migrations.RunPython.noop, elidable=False),
    ]
