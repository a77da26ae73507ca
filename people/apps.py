"""The app's configuration and its periodic task."""

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """People who administer."""

    name = "people"
    proofs = ("people.confirmation.take",)
    proof_fields = ("people.confirmation.fields",)
    periodic_tasks = ("people.retention.PRUNING",)
    audited = ("people.audited.STAFF", "people.audited.ROLES")
