"""Django's command, on record in the audit trail, as ``createsuperuser`` is."""

from getpass import getuser
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User
from django.db import transaction

from apikeys.management.base_command import actor
from audit.trail import record
from people.audited import StaffAction


class Command(changepassword.Command):
    """Sets somebody's password."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        said = super().handle(*args, **options)
        with transaction.atomic():
            account = User.objects.get(username=options["username"] or getuser())
            record(account, StaffAction.PASSWORD_CHANGED, actor())
        return said
