"""What the commands about services share: finding one, and how it is printed."""

import json
from typing import Any

from apikeys.management.base_command import LineCommand
from database import timestamps
from database.refusals import Refused
from gateway.models import Service


class ServiceCommand(LineCommand):
    """A command about services."""

    def find(self, name: str) -> Service:
        service = Service.objects.filter(name=name).first()
        if service is None:
            raise Refused(f"There is no service {name!r}. Run list_services to see the names.")
        return service

    def write_service(self, service: Service, *, as_object: bool) -> None:
        if as_object:
            self.stdout.write(json.dumps(as_json(service)))
            return
        for name, value in as_json(service).items():
            if name != "rules":
                self.stdout.write(f"{name.replace('_', ' '):15} {_readable(value)}")
        self.stdout.write("rules")
        for rule in service.rule_lines:
            self.stdout.write(f"  {rule}")


def as_json(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "description": service.description,
        "enabled": service.is_enabled,
        "rules": [str(rule) for rule in service.rule_lines],
        "created_at": timestamps.text(service.created_at),
        "updated_at": timestamps.text(service.updated_at),
    }


def _readable(value: Any) -> str:
    return {True: "yes", False: "no", "": "-"}.get(value, str(value))
