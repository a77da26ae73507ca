"""``manage.py bootstrap``: everything between a checkout and a first request; safe to repeat."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.management.base_command import LineCommand
from apikeys.permissions import Permission, resource
from audit.actors import Actor, Source
from audit.trail import record
from config.management import demo
from people.audited import StaffAction, changes, staff_state

ADMIN = "admin"
QUICKSTART_DAYS = 7
BOOTSTRAP = Actor(source=Source.COMMAND, name="make run")


class Command(LineCommand):
    """Prepares an installation to look around in."""

    help = "Create tables, demo data, the admin user and a first development key."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        self.check_server()
        demo.load()
        host = "127.0.0.1" if settings.HOST in {"0.0.0.0", "::"} else settings.HOST  # noqa: S104
        base = f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}"
        with self.shown_or_undone() as show:
            login = _admin_user()
            issued, environment = _quickstart_key()
            header = f'-H "Authorization: Bearer {issued.credential}"'
            lines = (
                f"Admin   {base}/admin/  {login}",
                f"Docs    {base}/api/docs",
                f"Try it  curl {header} {base}/api/{environment}/v1/key",
            )
            show("\n".join(lines), key_id=issued.key.pk)


def _admin_user() -> str:
    """Create the first administrator; return what to log in with."""
    if User.objects.filter(username=ADMIN).exists():
        return f"user {ADMIN}, with the password printed at the first start"
    given = settings.LATCHKEY_ADMIN_PASSWORD
    password = given or secrets.token_urlsafe(12)
    account = User.objects.create_superuser(ADMIN, password=password)
    record(account, StaffAction.CREATED, BOOTSTRAP, changes(None, staff_state(account)))
    told = "the password in LATCHKEY_ADMIN_PASSWORD" if given else f"password {password}"
    return f"user {ADMIN}, {told}"


def _quickstart_key() -> tuple[lifecycle.IssuedKey, Environment]:
    """Make a development key that ends by itself, or one of an environment served here."""
    served = settings.API_ENVIRONMENTS
    environment = Environment.DEVELOPMENT if Environment.DEVELOPMENT in served else served[0]
    issued = lifecycle.create(
        environment=Environment(environment),
        actor=BOOTSTRAP,
        name="Quickstart",
        # Whatever the platform's API offers; nothing about other keys.
        permissions=[code for code in Permission if resource(code) != "Keys"],
        expires_at=timezone.now() + timedelta(days=QUICKSTART_DAYS),
    )
    return issued, Environment(environment)
