"""The tests' OpenID Connect provider as a server."""

import json
import os
import subprocess
import sys
from typing import Any

import httpx

from tests.support.commands import ROOT
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET
from tests.support.servers import Server, wait_until

ROLES = "keys-admins=Key administrator,auditors=Auditor,bosses=superuser"


class IdentityProvider(Server):
    """django-oauth-toolkit on a free port; sends people back to the addresses that it was given."""

    program = sys.executable

    def __init__(self, *callbacks: str) -> None:
        super().__init__()
        self.callbacks = callbacks
        self.issuer = f"http://127.0.0.1:{self.port}/o"
        self.people: dict[str, dict[str, Any]] = {}
        self.forge()

    def settings(self, **others: str) -> dict[str, str]:
        """Return the variables of a product that trusts it."""
        return {
            "OIDC_ISSUER": self.issuer,
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_ROLES": ROLES,
            **others,
        }

    def start(self) -> None:
        """Start it."""
        environment = {
            "PATH": os.environ["PATH"],
            "PROVIDER_FOLDER": str(self.folder),
            "PROVIDER_PORT": str(self.port),
            "PROVIDER_CALLBACKS": " ".join(self.callbacks),
        }
        with (self.folder / "provider.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.identity_provider"],
                cwd=ROOT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._answers)

    def know(self, name: str, *groups: str, **claims: Any) -> None:
        """Know a person, with a verified address unless told otherwise."""
        self.people[name] = {
            "preferred_username": name,
            "email": f"{name}@example.com",
            "email_verified": True,
            "groups": list(groups),
        } | claims
        self.forge()

    def forge(self, **how: Any) -> None:
        """Break every ID token from now on; without arguments none."""
        known = {"people": self.people, "forged": how}
        (self.folder / "people.json").write_text(json.dumps(known))

    def _answers(self) -> bool:
        try:
            address = f"{self.issuer}/.well-known/openid-configuration"
            return httpx.get(address, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
