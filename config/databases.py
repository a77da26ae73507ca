"""Where data lives: the database, the rate-limit counters and the cache.

Two pairs are products in their own right: SQLite files in the data folder, and PostgreSQL
with Redis. Time limits here keep the promise that a dependency that is down costs a caller
two seconds at most; ``docs/decisions.md`` has the sums.
"""

import importlib.util
import re
from functools import partial
from pathlib import Path
from typing import Any

import dj_database_url
from django.utils.module_loading import import_string

from config.env import configuration_error
from database.connections.postgresql import GuardConnection
from database.connections.sqlite import FileConnection

Settings = dict[str, Any]

SQLITE_ENGINE = "django.db.backends.sqlite3"
POSTGRESQL_ENGINE = "django.db.backends.postgresql"
POSTGRESQL_PORT = 5432

# What reads a SQLite file gives up well inside two seconds in a web process. What writes waits
# for its turn: an API request until its deadline, a page longer, because a form is at stake.
WEB_BUSY_SECONDS = 1.0
PAGE_WRITE_SECONDS = 8.0
BUSY_SECONDS = 7.0
POOL_TIMEOUT_SECONDS = 0.6
CONNECT_SECONDS = 2
# The server lets go of what a host holds that vanished or stands still.
SESSION = {
    "statement_timeout": "30s",
    # A command says within ten seconds that somebody holds what it needs.
    "lock_timeout": "7s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    # Compiling a query costs more than it saves: all read a bounded number of rows.
    "jit": "off",
}
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
    "PRAGMA cache_size=-16000; PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY;"
)


def database(url: str, folder: Path, *, web_threads: int | None = None) -> Settings:
    """Return the database at ``url``, as a web process of so many threads or others use it."""
    if not url:
        url = f"sqlite:///{folder / 'latchkey.sqlite3'}"
    try:
        config = _parse(url)
    except ValueError:
        config = {"ENGINE": None}
    if config["ENGINE"] == SQLITE_ENGINE and config.get("NAME"):
        return _sqlite(config, is_web=web_threads is not None)
    if config["ENGINE"] == POSTGRESQL_ENGINE and config.get("NAME"):
        return _postgresql(config, web_threads)
    raise configuration_error(
        "DATABASE_URL",
        "is not the address of a PostgreSQL database",
        "Write it as postgres://user:password@host:5432/name, or leave it out for SQLite",
    )


def _parse(url: str) -> Settings:
    """Return what ``url`` names; it may name several hosts, of which the primary is used.

    They are written as libpq has them (PostgreSQL §34.1.1.2): ``host1:5432,host2:5432``.
    """
    scheme, _, rest = url.partition("://")
    end = re.search(r"[/?#]|$", rest)
    authority, path = rest[: end.start()], rest[end.start() :]  # type: ignore[union-attr]
    user, at, listed = authority.rpartition("@")
    hosts = listed.split(",")
    if len(hosts) == 1:
        return dict(dj_database_url.parse(url))
    # Each is read as the only one would be: ports are numbers, IPv6 addresses in brackets.
    named = [dj_database_url.parse(f"{scheme}://{user}{at}{host}{path}") for host in hosts]
    config: Settings = dict(named[0])
    config["HOST"] = ",".join(one["HOST"] for one in named)
    config["PORT"] = ",".join(str(one["PORT"] or POSTGRESQL_PORT) for one in named)
    if not all(one["HOST"] for one in named):
        raise ValueError(url)
    # A standby answers too, and takes no writes.
    config.setdefault("OPTIONS", {}).setdefault("target_session_attrs", "read-write")
    return config


def redis_url(url: str) -> str:
    """Return ``url`` if it is an address of Redis, or blank for none."""
    if url:
        try:
            import_string("database.redis.address.parse")(url)
        except ValueError as error:
            problem, remedy = error.args
            raise configuration_error("REDIS_URL", problem, remedy) from None
    return url


def log_store(url: str) -> Settings:
    """Return the ClickHouse at ``url``."""
    try:
        config: Settings = import_string("database.clickhouse.address.parse")(url)
    except ValueError as error:
        problem, remedy = error.args
        raise configuration_error("LOG_STORE_URL", problem, remedy) from None
    if importlib.util.find_spec("clickhouse_connect") is None:
        raise configuration_error(
            "LOG_STORE_URL",
            "needs packages that are not installed",
            "Install requirements-clickhouse.lock, or leave it out",
        )
    return config


def cache(redis: str, folder: Path) -> Settings:
    if "+" in redis.partition("://")[0]:
        return {
            "BACKEND": "database.redis.cache.Cache",
            "LOCATION": [redis],
            "KEY_PREFIX": "latchkey",
        }
    if redis:
        return {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            # As a list: a string would be divided at commas.
            "LOCATION": [redis],
            "KEY_PREFIX": "latchkey",
            "OPTIONS": {"socket_timeout": 0.7, "socket_connect_timeout": 0.7},
        }
    return {"BACKEND": "config.cache.FileCache", "LOCATION": str(folder / "cache.sqlite3")}


def _sqlite(config: Settings, *, is_web: bool) -> Settings:
    write_timeout = PAGE_WRITE_SECONDS if is_web else BUSY_SECONDS
    return config | {
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "factory": partial(FileConnection, write_timeout=write_timeout),
            "timeout": WEB_BUSY_SECONDS if is_web else BUSY_SECONDS,
            "transaction_mode": "IMMEDIATE",
            "init_command": SQLITE_PRAGMAS,
        },
        # The suite runs several processes and threads on it, so it has to be a file there too.
        "TEST": {"NAME": str(Path(config["NAME"]).with_name("test.sqlite3"))},
    }


def _postgresql(config: Settings, web_threads: int | None) -> Settings:
    pool: Settings = {
        "connection_class": GuardConnection,
        "timeout": POOL_TIMEOUT_SECONDS,
        "reconnect_timeout": POOL_TIMEOUT_SECONDS,
    }
    if web_threads is None:
        # A host that is silent takes so long before the next is tried.
        seconds = CONNECT_SECONDS * (1 + config["HOST"].count(","))
        pool |= {"min_size": 1, "max_size": 10, "timeout": float(seconds)}
    else:
        # A connection for each thread, so nobody waits for one unless the server is gone.
        pool |= {"min_size": web_threads, "max_size": web_threads + 1}
    return config | {
        "CONN_MAX_AGE": 0,
        # Or the pool asks before it hands out a connection: see database.connections.postgresql.
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {
            **config.get("OPTIONS", {}),
            "connect_timeout": CONNECT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
            "tcp_user_timeout": 15_000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "pool": pool,
        },
    }
