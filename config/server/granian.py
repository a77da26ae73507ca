"""``python -m config.server.granian``: Granian, as the settings say."""

import importlib
import multiprocessing
import os
import resource
from typing import Any

import django
from django.conf import settings
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server

from config.server.cores import settle
from jobs.worker.supervisor import die_with_parent

KILL_AFTER_SECONDS = 10
# Of each process. An open connection takes a file descriptor and some kilobytes, and no thread.
MAX_CONNECTIONS = 4096

# Read by the settings, which web processes inherit from this one.
os.environ["LATCHKEY_ROLE"] = "web"


def load_application(target: str) -> Any:
    """Load the application in a web process, which must not outlive the server."""
    server = multiprocessing.parent_process()
    if server is not None and server.pid is not None:
        die_with_parent(server.pid)
        settle(server.pid)
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the system lets it."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def main() -> None:
    raise_file_limit()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
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


if __name__ == "__main__":
    main()
