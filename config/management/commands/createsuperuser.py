"""Django's command, on record in the audit trail.

The event follows the account in a transaction of its own: one around the command would hold
SQLite's only writer while a person types the password.
"""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User
from django.db import transaction

from apikeys.management.base_command import actor
from audit.trail import record
from people.audited import StaffAction, changes, staff_state


class Command(createsuperuser.Command):
    """Creates an administrator."""

    def handle(self, *args: Any, **options: Any) -> None:
        newest = User.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        super().handle(*args, **options)
        with transaction.atomic():
            for account in User.objects.filter(pk__gt=newest):
                record(account, StaffAction.CREATED, actor(), changes(None, staff_state(account)))
