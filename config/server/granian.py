"""Granian, as the settings say; ``python -m config.server.granian`` is the web server alone.

The server loads the code and forks the web processes, which share it in memory.
"""

import gc
import importlib
import multiprocessing
import os
import resource
import signal
from contextlib import suppress
from typing import Any

import django
from django.conf import settings
from django.db import connection
from django.template.loader import get_template
from django.urls import Resolver404, resolve
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server

from config.server import static_files
from config.server.cores import settle
from jobs.worker.supervisor import STOP_SIGNALS, die_with_parent, name_process

KILL_AFTER_SECONDS = 10
# Of each process. An open connection takes a file descriptor and some kilobytes, and no thread.
MAX_CONNECTIONS = 4096

# What config/asgi.py loads; it starts threads itself, so it is left to the web processes.
CODE = (
    "config.server.request_bodies",
    "django.core.handlers.wsgi",
    "django.db.models.sql.compiler",
    "gateway.endpoints.application",
    "gateway.forward_auth",
    "uvloop",
)
TEMPLATES = ("admin/index.html", "admin/change_list.html")


def load_code() -> None:
    """Load what web processes need and may share: code alone, no connection, thread or lock."""
    for module in (settings.ROOT_URLCONF, *CODE):
        importlib.import_module(module)
    # Compiled at their first use: patterns of addresses, and templates with all that they extend.
    with suppress(Resolver404):
        resolve(f"/api/{settings.API_ENVIRONMENTS[0]}/v1/key")
    # Not imported above: this module is loaded before Django is set up where it serves alone.
    importlib.import_module("apikeys.guard.views").compile_operations()
    for name in TEMPLATES:
        get_template(name)
    static_files.version()


def load_application(target: str) -> Any:
    """Load the application in a web process, which must not outlive the server."""
    server = multiprocessing.parent_process()
    if server is not None and server.pid is not None:
        for number in STOP_SIGNALS:
            # The server's handlers would do nothing here.
            signal.signal(number, signal.SIG_DFL)
        # Told to stop, one that is busy may never end: its signal handler then waits, with the
        # interpreter's lock, for a thread that waits for the lock. The server would kill it.
        die_with_parent(server.pid, signal.SIGKILL)
        name_process("latchkey-web")
        settle(server.pid)
    connection.settings_dict["OPTIONS"] = settings.WEB_DATABASE["OPTIONS"]
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the system lets it."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def serve() -> None:
    """Serve until SIGINT or SIGTERM, from a process that has loaded the code."""
    raise_file_limit()
    # Python 3.14 forks no more unless it is told to.
    multiprocessing.set_start_method("fork", force=True)
    Server(
        settings.ASGI_APPLICATION.replace(".application", ":application"),
        address=settings.HOST,
        port=settings.PORT,
        interface=Interfaces.ASGINL,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        workers=settings.WEB_CONCURRENCY,
        backpressure=MAX_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_AFTER_SECONDS,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=settings.GRANIAN_LOGGING,
    ).serve(target_loader=load_application)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    load_code()
    gc.collect()
    gc.freeze()
    serve()


if __name__ == "__main__":
    main()
