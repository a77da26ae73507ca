"""What the settings, the packages and the files beside the database say."""

import re
import stat
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from django.conf import settings
from django.core.checks import run_checks

from database.client_address import is_loopback
from operations.checkup.findings import Finding

LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
PINNED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;#]+)")
SECRET_NAME = re.compile(
    r"^\s*(?:export\s+)?\w*(SECRET|PEPPERS|PASSWORD|TOKEN|_URL)\w*\s*=\s*\S", re.MULTILINE
)
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_settings() -> Iterator[Finding]:
    for issue in run_checks():
        if issue.is_serious() and not issue.is_silenced():
            yield Finding("settings", issue.msg, issue.hint or "See the message.")
    if settings.DEBUG:
        yield Finding(
            "debug",
            "DEBUG is on, so an error page shows settings and source.",
            "Set DEBUG=off and restart.",
        )


def check_names() -> Iterator[Finding]:
    """See that the host names fit who reaches this host, and that TLS protects them."""
    names = set(settings.ALLOWED_HOSTS)
    foreign = sorted(names - LOCAL_NAMES)
    if "*" in names:
        yield Finding(
            "allowed-hosts",
            "ALLOWED_HOSTS answers to every name, so a forged Host header is believed.",
            "Name your own hosts, as ALLOWED_HOSTS=keys.example.com.",
        )
    elif not foreign and not is_loopback(settings.HOST):
        yield Finding(
            "allowed-hosts",
            f"HOST is {settings.HOST} and ALLOWED_HOSTS names this machine alone, so others get"
            " 400.",
            "Add the names by which others reach it to ALLOWED_HOSTS.",
        )
    if foreign and not settings.HTTPS:
        yield Finding(
            "https",
            f"ALLOWED_HOSTS names {foreign[0]}, and cookies are sent there without TLS.",
            "Put a proxy with TLS in front, and set CSRF_TRUSTED_ORIGINS to its https:// origin.",
        )


def check_proxies() -> Iterator[Finding]:
    if settings.HTTPS and not settings.TRUSTED_PROXIES:
        yield Finding(
            "trusted-proxies",
            "A proxy ends TLS and TRUSTED_PROXIES names none, so every client has its address.",
            "Set TRUSTED_PROXIES to the proxy's address, as 127.0.0.1/32.",
        )


def check_mail() -> Iterator[Finding]:
    if (settings.ALERT_RECIPIENTS or settings.EXPIRY_NOTICE_RECIPIENTS) and not settings.EMAIL_HOST:
        yield Finding(
            "mail",
            "Alerts have recipients and EMAIL_HOST names no server, so mail is only printed.",
            "Set EMAIL_HOST, or leave the recipients out.",
        )


def check_packages() -> Iterator[Finding]:
    """Compare what is installed with what this version was tested with."""
    path: Path = settings.BASE_DIR / "requirements.txt"
    for line in path.read_text().splitlines() if path.exists() else ():
        pinned = PINNED.match(line)
        if pinned is None:
            continue
        try:
            installed = version(pinned[1])
        except PackageNotFoundError:
            installed = "no version"
        if installed != pinned[2]:
            yield Finding(
                "packages",
                f"{pinned[1]} {pinned[2]} is required and {installed} is installed.",
                "Run pip install --require-hashes -r requirements.lock, and restart.",
            )


def check_secret_files() -> Iterator[Finding]:
    for path in settings.EXPOSED_SECRET_FILES:
        yield Finding(
            "file-modes",
            f"Others on this machine could read {path} until now.",
            "It is mode 0600 again. Replace what it holds if somebody else has an account here.",
        )
    path = settings.BASE_DIR / ".env"
    if path.exists() and path.stat().st_mode & OTHERS and SECRET_NAME.search(path.read_text()):
        yield Finding(
            "file-modes", f"{path} holds secrets, and others may read it.", f"Run chmod 600 {path}."
        )


def check_database_file() -> Iterator[Finding]:
    name = settings.DATABASES["default"]["NAME"]
    path = Path(name)
    if "sqlite3" not in settings.DATABASES["default"]["ENGINE"] or not path.exists():
        return
    if path.stat().st_mode & OTHERS and path.resolve().parent.stat().st_mode & OTHERS:
        yield Finding(
            "file-modes",
            f"{path} holds the request log and license keys, and others may read it.",
            f"Run chmod 700 {path.parent}.",
        )
