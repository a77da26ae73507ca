"""``manage.py import_service``: make a service's rules from an OpenAPI document."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from apikeys import catalogue
from apikeys.management.arguments import add_json
from apikeys.management.base_command import actor
from database.refusals import Refused
from gateway import lifecycle
from gateway.management.service_command import ServiceCommand
from gateway.models import Service
from gateway.openapi import MAX_BYTES, read_document, rules_of
from gateway.rules import RuleLine, difference


class Command(ServiceCommand):
    """Imports the rules of a service."""

    help = "Make rules and permissions from an OpenAPI 3 document, in place of those there are."
    examples = ("import_service orders --openapi openapi.yaml --dry-run",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="up to 40 of a-z, 0-9 and -, a letter first")
        parser.add_argument("--openapi", required=True, metavar="FILE", help="JSON or YAML")
        parser.add_argument("--dry-run", action="store_true", help="show the difference alone")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        name, is_dry_run = options["name"], options["dry_run"]
        rules = rules_of(read_document(_read(options["openapi"])), service=name)
        # Written and rolled back in a dry run: it refuses what the import would refuse.
        with transaction.atomic():
            service = Service.objects.filter(name=name).first()
            outcome = {
                "name": name,
                "created": service is None,
                "permissions": _missing(rules),
                "difference": difference(service.rule_lines if service else (), rules),
                "dry_run": is_dry_run,
            }
            if service is None:
                lifecycle.create(name, actor=actor(), rules=rules)
            else:
                lifecycle.update(
                    service, actor=actor(), fields={}, rules=rules, revision=service.revision
                )
            transaction.set_rollback(is_dry_run)
        if options["json"]:
            self.stdout.write(json.dumps(outcome))
            return
        for code in outcome["permissions"]:
            self.stdout.write(f"+ permission {code}")
        for line in outcome["difference"]:
            self.stdout.write(line)
        done = "would have" if is_dry_run else "has"
        self.stdout.write(f"{name} {done} {len(rules):,} {'rule' if len(rules) == 1 else 'rules'}.")


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(
            f"{name!r} cannot be read: {error.strerror}. Name an OpenAPI document."
        ) from None


def _missing(rules: tuple[RuleLine, ...]) -> list[str]:
    """Return the codes of permissions that the rules name and that do not exist."""
    named = {rule.permission for rule in rules if rule.permission}
    return sorted(named - dict(catalogue.choices()).keys())
