"""The address of a ClickHouse: ``clickhouse://user:password@host:8123/database``."""

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

# By scheme: whether it is over TLS.
SCHEMES = {"clickhouse": False, "clickhouses": True}
PORTS = {False: 8123, True: 8443}
FORM = "Write it as clickhouse://user:password@host:8123/database"


def parse(url: str) -> dict[str, Any]:
    """Return Django's settings of the database; raise ``ValueError`` with problem and remedy."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is not the address of a ClickHouse server") from None
    if parts.scheme not in SCHEMES or not parts.hostname or parts.fragment:
        raise _refused("is not the address of a ClickHouse server")
    name = parts.path.removeprefix("/")
    if "/" in name:
        raise _refused("names more than a database behind the host")
    is_secure = SCHEMES[parts.scheme] or _is_secure(parts)
    return {
        "ENGINE": "database.clickhouse",
        "NAME": unquote(name) or "default",
        "USER": unquote(parts.username or "default"),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": port or PORTS[is_secure],
        "OPTIONS": {"is_secure": is_secure},
        # Until a thread ends; the client connects anew by itself.
        "CONN_MAX_AGE": None,
    }


def _is_secure(parts: SplitResult) -> bool:
    is_secure = False
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != "secure" or value not in {"", "0", "1"}:
            raise ValueError("has an option that is not known", "Only ?secure=1 may follow")
        is_secure = value != "0"
    return is_secure


def _refused(problem: str) -> ValueError:
    return ValueError(problem, FORM)
