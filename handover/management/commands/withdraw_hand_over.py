"""``manage.py withdraw_hand_over``: end a hand-over link that nobody has confirmed."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.management.arguments import add_key_id
from apikeys.management.base_command import KeyCommand, actor


class Command(KeyCommand):
    """Withdraws a link."""

    help = "Withdraw the hand-over link of an API key: it is good for nothing from then on."
    examples = ("withdraw_hand_over lk_prod_4kQ9zTfB2mXe",)

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_id(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key_id"])
        event = lifecycle.withdraw(key, actor=actor())
        said = "is withdrawn" if event else "was not pending"
        self.stdout.write(f"The hand-over of {key} {said}.")
