"""The proxies, each run as docs/gateway.md says to, on ports of the tests' own."""

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.product import ROOT, Latchkey
from tests.support.servers import Server, free_port, wait_until
from tests.support.services import PATH, program

GUIDE = (ROOT / "docs" / "gateway.md").read_text()
MANAGE = ".venv/bin/python manage.py"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Abilities:
    """What proxies do differently; docs/gateway.md has it as a table."""

    # The answer when Latchkey cannot be reached, and whether that is problem details.
    down_status: int = 503
    down_is_problem: bool = True
    # How long it waits for a Latchkey that accepts connections and is silent.
    silence_seconds: float = 4
    # Whether an admitted answer tells the decision's id, and what is left of the key's limits.
    shows_decision: bool = True
    # Whether fields that follow a body reach the application.
    passes_trailers: bool = False
    # Connections to Latchkey for 200 requests, one after the other.
    connections: int = 5
    # Whether Latchkey decides by the service's rules, or the proxy by its own.
    asks_for_decisions: bool = True


# As headings of docs/gateway.md.
PROXIES = {
    "nginx": Abilities(),
    "Traefik": Abilities(
        down_status=500, down_is_problem=False, silence_seconds=31, shows_decision=False
    ),
    "Caddy": Abilities(shows_decision=False),
    "Envoy": Abilities(),
    "HAProxy": Abilities(silence_seconds=11, passes_trailers=True),
    "Apache": Abilities(
        down_status=401, down_is_problem=False, shows_decision=False, asks_for_decisions=False
    ),
}


class Proxy(Server):
    """A proxy in front of an application; ``latchkey`` and ``application`` are ports."""

    def __init__(self, name: str, product: Latchkey, *, latchkey: int, application: int) -> None:
        super().__init__()
        program(name)
        # Apache reads the certificate as www-data.
        self.folder.chmod(0o755)
        self.name, self.can = name, PROXIES[name]
        self.url = f"http://127.0.0.1:{self.port}"
        self._product = product
        # The guide's ports, and those that take their places.
        self._ports = {
            "8080": str(self.port),
            "8000": str(latchkey),
            "9000": str(application),
            "8443": str(free_port()),
        }

    def prepare(self) -> None:
        """Write the guide's files, and run its commands but the last block of them."""
        for text in self._commands()[:-1]:
            done = subprocess.run(**self._shell(text), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        for _, name, text in BLOCK.findall(section(self.name)):
            if name:
                (self.folder / name).write_text(text)
        for path in self.folder.rglob("*"):
            if path.is_file() and path.suffix not in {".key", ".crt"}:
                path.write_text(self._on_own_ports(path.read_text()))

    def start(self) -> None:
        """Run the guide's last commands, and stay with the last of them."""
        if not any(self.folder.iterdir()):
            self.prepare()
        *before, last = self._commands()[-1].splitlines()
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                **self._shell("\n".join([*before, f"exec {last}"])), stdout=output, stderr=output
            )
        wait_until(self._routes)

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Stop it. In a script's background, programs inherit that SIGINT is ignored."""
        super().stop(signal.SIGTERM if signal_number == signal.SIGINT else signal_number)

    def _commands(self) -> list[str]:
        return [text for kind, _, text in BLOCK.findall(section(self.name)) if kind == "sh"]

    def _routes(self) -> bool:
        # Traefik listens before it has read its routes.
        try:
            return httpx.get(self.url).status_code != 404
        except httpx.HTTPError:
            return False

    def _shell(self, script: str) -> dict[str, Any]:
        script = re.sub(r"\bsudo (--\S+ )*", "", self._on_own_ports(script))
        return shell(script, self._product) | {"cwd": self.folder}

    def _on_own_ports(self, text: str) -> str:
        ports = "|".join(self._ports)
        return re.sub(rf"\b({ports})\b", lambda match: self._ports[match[1]], text)


def shell(script: str, product: Latchkey) -> dict[str, Any]:
    """Return how to run lines of the guide, as arguments of ``subprocess``."""
    own = {"PATH": PATH, "PYTHON": sys.executable, "MANAGE": str(ROOT / "manage.py")}
    script = script.replace(MANAGE, '"$PYTHON" "$MANAGE"')
    return {"args": ["sh", "-e", "-c", script], "env": product.environment | own}


def block(name: str) -> str:
    """Return the guide's one block of a name or, for ``curl``, of a language."""
    (text,) = [str(text) for kind, title, text in BLOCK.findall(GUIDE) if name in {kind, title}]
    return text


def section(name: str) -> str:
    """Return what the guide says about a proxy."""
    return GUIDE.split(f"\n### {name}\n")[1].partition("\n##")[0]
