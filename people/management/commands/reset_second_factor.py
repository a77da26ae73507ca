"""``manage.py reset_second_factor``."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser
from django.db import transaction

from apikeys.management.base_command import LineCommand, actor
from apikeys.texts import clean_text
from apikeys.validation import MAX_REASON_LENGTH
from database.refusals import Refused
from people.second_factor import factors


class Command(LineCommand):
    """Lets somebody in again who lost every factor."""

    help = "Remove a person's second factors and recovery codes, and end their sessions."
    examples = ('reset_second_factor ada --reason "Phone lost, called back by Zoe"',)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="whose factors are lost")
        parser.add_argument("--reason", required=True, help="why, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = clean_text(options["reason"], field="reason", longest=MAX_REASON_LENGTH)
        if not reason:
            raise Refused("The reason is blank. Say who asked, and how you know them.")
        account = User.objects.filter(username=options["username"]).first()
        if account is None:
            raise Refused(
                f"There is no account {options['username']!r}. Look it up under Staff in the admin."
            )
        with transaction.atomic():
            number = factors.reset(account, actor=actor(), reason=reason)
            factor = "factor is" if number == 1 else "factors are"
            self.stdout.write(f"{number} {factor} removed, and the sessions ended.")
