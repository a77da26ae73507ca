"""Configurations of proxies that ask Latchkey, filled in for one service.

A template is a whole file in the proxy's own language, with ``@NAME@`` where the service, the
environment, the addresses and a problem's body stand. ``tests/proxies`` runs each with the real
proxy, as ``docs/gateway.md`` says to.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from apikeys.guard.problems import TYPE
from apikeys.problem_codes import CODES
from database.refusals import Refused

FOLDER = Path(__file__).parent
# For each proxy its templates, and the names under which they are written.
PROXIES = MappingProxyType(
    {
        "nginx": {
            "nginx-http.conf": "latchkey-http.conf",
            "nginx-server.conf": "latchkey-@SERVICE@-server.conf",
            "nginx-location.conf": "latchkey-@SERVICE@-location.conf",
        },
        "traefik": {"traefik.yml": "latchkey-@SERVICE@.yml"},
        "caddy": {"caddy.conf": "latchkey-@SERVICE@.caddy"},
        "envoy": {"envoy.yaml": "latchkey-@SERVICE@.yaml"},
        "haproxy": {"haproxy.cfg": "latchkey-@SERVICE@.cfg", "haproxy.lua": "latchkey.lua"},
        "apache": {"apache.conf": "latchkey-@SERVICE@.conf"},
    }
)
# The lines that use those files, in files of one's own. ``docs/gateway.md`` has them among others.
MAIN_FILES = MappingProxyType(
    {
        "nginx": {"nginx-main.conf": "nginx.conf"},
        "traefik": {"traefik-main.yml": "traefik.yml", "traefik-router.yml": "@SERVICE@.yml"},
        "caddy": {"caddy-main.conf": "Caddyfile"},
        "apache": {"apache-main.conf": "apache.conf"},
    }
)
# What a proxy answers by itself. Without quotation marks and %, which some languages read.
DETAILS = {
    "unavailable": "The request could not be decided. Send it again after Retry-After seconds.",
    "key_invalid": "There is no valid key. Send one as Authorization: Bearer.",
    "permission_denied": "The key lacks a permission. Have it added, or use another key.",
}
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")


def configuration(
    proxy: str, *, service: str, environment: str, latchkey: str, application: str
) -> dict[str, str]:
    """Return the files of a proxy by name. Addresses are written ``host:port``."""
    values = {"SERVICE": service, "ENVIRONMENT": environment}
    values |= {code.upper(): _problem(code, detail) for code, detail in DETAILS.items()}
    for name, address in (("LATCHKEY", latchkey), ("APPLICATION", application)):
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise Refused(f"{address!r} is not an address. Write host and port, as 127.0.0.1:8000.")
        host = match["host"].strip("[]")
        values |= {name: address, f"{name}_HOST": host, f"{name}_PORT": match["port"]}
    return _filled(PROXIES[proxy], values)


def main_files(proxy: str, *, service: str, application: str) -> dict[str, str]:
    """Return the lines to add to files of one's own, by the file's name; none for some proxies."""
    return _filled(MAIN_FILES.get(proxy, {}), {"SERVICE": service, "APPLICATION": application})


def _filled(templates: Mapping[str, str], values: dict[str, str]) -> dict[str, str]:
    return {
        _fill(name, values): _fill((FOLDER / template).read_text(), values)
        for template, name in templates.items()
    }


def _fill(text: str, values: dict[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], text)


def _problem(code: str, detail: str) -> str:
    kind = CODES[code]
    return json.dumps(
        {
            "type": TYPE + code,
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            "code": code,
        }
    )
