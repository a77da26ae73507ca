"""``manage.py write_proxy``: a proxy's configuration for one service, as files."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_environment
from database.refusals import Refused
from gateway.management.service_command import ServiceCommand
from gateway.proxies import PROXIES, configuration


class Command(ServiceCommand):
    """Writes a proxy's configuration."""

    help = "Write the configuration with which a proxy asks Latchkey about a service."
    examples = ("write_proxy nginx orders --environment production --to /etc/nginx",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("proxy", choices=PROXIES, help="the program in front")
        parser.add_argument("service", help="the service, as list_services shows it")
        add_environment(parser, "whose keys are to be accepted", required=True)
        for name, port, text in (
            ("latchkey", 8000, "where this Latchkey is"),
            ("application", 9000, "where the API is that is guarded"),
        ):
            parser.add_argument(
                f"--{name}", default=f"127.0.0.1:{port}", metavar="HOST:PORT", help=text
            )
        parser.add_argument(
            "--to", type=Path, default=Path(), metavar="FOLDER", help="where the files go"
        )

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
