"""``manage.py write_proxy``: a proxy's configuration for one service, as files."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apikeys.environments import Environment
from database.refusals import Refused
from gateway.management.service_command import ServiceCommand
from gateway.proxies import PROXIES, configuration


class Command(ServiceCommand):
    """Writes a proxy's configuration."""

    help = "Write the configuration with which a proxy asks Latchkey about a service."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("proxy", choices=PROXIES)
        parser.add_argument("service")
        parser.add_argument("--environment", required=True, choices=Environment.values)
        parser.add_argument("--latchkey", default="127.0.0.1:8000", metavar="HOST:PORT")
        parser.add_argument("--application", default="127.0.0.1:9000", metavar="HOST:PORT")
        parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER")

    def handle(self, *args: Any, **options: Any) -> None:
        files = configuration(
            options["proxy"],
            service=self.find(options["service"]).name,
            environment=options["environment"],
            latchkey=options["latchkey"],
            application=options["application"],
        )
        folder = options["to"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(text)
                self.stdout.write(str(folder / name))
        except OSError as error:
            raise Refused(
                f"{folder} cannot be written, {error.strerror}. Name another folder with --to."
            ) from None
