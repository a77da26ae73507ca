"""A wrong or unsafe setting stops the start with one line that names it."""

import importlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

import config
import manage
from config.env import Variables, env_file

ROOT = Path(__file__).resolve().parent.parent.parent
PEPPER = "ab" * 32


Read = Callable[..., Any]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Read:
    """Read all settings anew, as a process with no other variables than these does."""

    def call(program: Callable[[], Any] | None = None, **variables: str) -> Any:
        for name in os.environ:
            monkeypatch.delenv(name)
        defaults = {"PATH": os.defpath, "LATCHKEY_VAR": str(tmp_path)}
        for name, value in (defaults | variables).items():
            monkeypatch.setenv(name, value)
        # Both are put back after the test: the product's modules hold the settings of the suite.
        monkeypatch.setattr(config, "settings", config.settings)
        monkeypatch.delitem(sys.modules, "config.settings")
        return (program or (lambda: importlib.import_module("config.settings")))()

    return call


def start(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "LATCHKEY_VAR": str(folder)} | variables
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgres://localhost:port/x"),
        ("DATABASE_URL", "postgres://user:hunter2@localhost"),
        ("DATABASE_URL", "postgres://user:hunter2@one:5432,two:port/x"),
        ("DATABASE_URL", "postgres://user:hunter2@one,/x"),
        ("LOG_DURABILITY", "disk"),
        ("LOG_DURABILITY", "store"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 64),
        ("SECRET_KEY", "django-insecure-abcdefghijklmnopqrstuvwxyz0123456789"),
        ("API_KEY_PEPPERS", "1:hunter2"),
        ("API_KEY_PEPPERS", f"1:{PEPPER},1:{PEPPER}"),
        ("API_KEY_PREFIX", "Latch_Key"),
        ("API_ENVIRONMENTS", "production,moon"),
        ("API_ENVIRONMENTS", ",production,x"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1"),
        ("REDIS_URL", "redis://127.0.0.1:abc/0"),
        ("REDIS_URL", "redis://127.0.0.1:6379/abc"),
        ("REDIS_URL", "redis:///0"),
        ("LOG_BODIES", "none,all"),
        ("API_ENVIRONMENTS", ","),
        ("CSRF_TRUSTED_ORIGINS", "https://"),
        ("ALLOWED_HOSTS", "http://x y"),
        ("AUTH_FAILURE_LIMIT", "0/min"),
        ("PORT", "9" * 5000),
        ("DEBUG", "maybe"),
        ("CSRF_TRUSTED_ORIGINS", "keys.example"),
        ("LOG_BODIES", "some"),
        ("LOG_BODY_LIMIT", "-1"),
        ("LOG_RETENTION_DAYS", "0"),
        ("MAX_BODY_BYTES", "1M"),
        ("AUTH_FAILURE_LIMIT", "60"),
        ("AUTH_FAILURE_LIMIT", "sixty/min"),
        ("DEFAULT_LIMITS_PRODUCTION", "600"),
        ("DEFAULT_LIMITS_STAGING", "60/fortnight"),
        ("DEFAULT_LIMITS_DEVELOPMENT", "60/min,70/min"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_THREADS", "many"),
        ("PORT", "70000"),
        ("HTTPS", "perhaps"),
        ("LATCHKEY_VAR", "/proc/latchkey"),
        ("LATCHKEY_VAR", "~nobody-of-that-name/x"),
        ("TRUSTED_PROXIES", "fe80::1%eth0"),
        ("REDIS_URL", "redis://127.0.0.1:6379/0?foo=bar"),
        ("EXPIRY_NOTICE_RECIPIENTS", "ops@example.com,nobody"),
        ("ALERT_RECIPIENTS", "nobody"),
        ("ALERT_ERROR_PERCENT", "101"),
        ("ADMIN_URL", "keys.example"),
        ("EXPIRY_NOTICE_RECIPIENTS", "Ops <ops@example.com>"),
        ("DEFAULT_FROM_EMAIL", "latchkey"),
        ("DEFAULT_FROM_EMAIL", "Latchkey <latchkey>"),
        ("DEFAULT_FROM_EMAIL", "a@example.com\nBcc: b@example.com"),
        ("EMAIL_HOST", "smtp://mail.example.com"),
        ("EMAIL_HOST", "mail example.com"),
        ("LATCHKEY_ALLOW_UNSAFE", "perhaps"),
    ],
)
def test_it_stops_the_start(
    read: Read,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])

    code = read(manage.main, **{name: value})

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert name in err
    assert err.count(". ") >= 1
    assert "hunter2" not in err
    assert PEPPER not in err


def test_a_wrong_setting_is_all_that_a_process_says(tmp_path: Path) -> None:
    done = start(tmp_path, PORT="70000")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("latchkey: PORT ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"), [("DEBUG", "on"), ("ALLOWED_HOSTS", "keys.example.com,*")]
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "keys.example.com"])
def test_what_is_unsafe_where_others_reach_it_stops_the_start(
    read: Read, host: str, name: str, value: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{name} .*LATCHKEY_ALLOW_UNSAFE"):
        read(**{"HOST": host, name: value})


@pytest.mark.parametrize(
    ("host", "allow"),
    [("127.0.0.1", ""), ("127.0.0.9", ""), ("::1", ""), ("localhost", ""), ("0.0.0.0", "on")],
)
def test_it_starts_on_the_machine_itself_or_where_it_is_allowed(
    read: Read, host: str, allow: str
) -> None:
    settings = read(HOST=host, DEBUG="on", ALLOWED_HOSTS="*", LATCHKEY_ALLOW_UNSAFE=allow)

    assert host == settings.HOST
    assert settings.DEBUG
    assert settings.ALLOWED_HOSTS == ["*"]


def test_records_can_be_in_the_store_before_their_answers_on_postgresql(read: Read) -> None:
    settings = read(LOG_DURABILITY="store", DATABASE_URL="postgres://pg1/latchkey")

    assert settings.LOG_DURABILITY == "store"


def test_a_data_folder_whose_path_is_too_long_for_a_socket_stops_the_start(
    read: Read, tmp_path: Path
) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^LATCHKEY_VAR .*\. Choose a folder"):
        read(
            LOG_DURABILITY="store",
            DATABASE_URL="postgres://pg1/latchkey",
            LATCHKEY_VAR=str(tmp_path / ("x" * 100)),
        )


def test_mail_settings_that_are_right_start(read: Read) -> None:
    settings = read(
        EMAIL_HOST="mail-1.example.com",
        EXPIRY_NOTICE_RECIPIENTS="ops@example.com, sec+keys@example.com",
        DEFAULT_FROM_EMAIL="Latchkey <latchkey@example.com>",
    )

    assert len(settings.EXPIRY_NOTICE_RECIPIENTS) == 2


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("DEBUG", 1),
        ("# ours\n\nexport DEBUG\n", 3),
        ("A=1\nhunter2\nB=2\n", 2),
        ("A=1\n\n  some hunter2 = words\n", 3),
        ("A='hunter2\nB=2\n", 1),
        ("A: hunter2", 1),
        ("=hunter2", 1),
        ("A-B=hunter2", 1),
    ],
)
def test_a_line_of_the_env_file_that_is_no_assignment_is_named_and_not_shown(
    tmp_path: Path, content: str, line: int
) -> None:
    (tmp_path / ".env").write_text(content)

    with pytest.raises(ImproperlyConfigured, match=rf"^\.env .* line {line}\. ") as refused:
        env_file(tmp_path / ".env")

    assert "hunter2" not in str(refused.value)


def test_an_env_file_may_hold_comments_quotes_and_exports(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeff# first\n\nexport A=1\nB = 'two words' # why\nC=\nD=\"a\nb\"\n", "utf-8"
    )

    assert env_file(tmp_path / ".env") == {"A": "1", "B": "two words", "C": "", "D": "a\nb"}
    assert env_file(tmp_path / "absent") == {}


def test_the_example_file_is_one() -> None:
    assert env_file(ROOT / ".env.example") == {}


def test_the_defaults_start(tmp_path: Path) -> None:
    assert start(tmp_path).returncode == 0


def test_a_blank_value_counts_as_left_out(read: Read) -> None:
    settings = read(DATABASE_URL="", REDIS_URL=" ", WEB_THREADS="", DEBUG="")

    assert settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    assert (settings.REDIS_URL, settings.WEB_THREADS, settings.DEBUG) == ("", 4, False)


def test_secrets_are_made_once_for_their_owner_alone(read: Read, tmp_path: Path) -> None:
    read()
    made = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}

    read()

    for name in ("secret_key", "peppers"):
        assert (tmp_path / name).read_text() == made[name]
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_of_two_first_starts_at_once_both_read_the_same_secret(tmp_path: Path) -> None:
    program = "from config import settings; print(settings.SECRET_KEY)"
    environment = {"PATH": os.environ["PATH"], "LATCHKEY_VAR": str(tmp_path)}

    both = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment,
                         stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip

    assert len({process.communicate()[0] for process in both}) == 1
    assert not list(tmp_path.glob(".secret_key*"))


@pytest.mark.parametrize(
    ("origins", "secure"), [("", False), ("https://keys.example", True), ("http://x:8000", False)]
)
def test_cookies_are_secure_as_soon_as_people_come_over_tls(
    read: Read, origins: str, secure: bool
) -> None:
    assert read(CSRF_TRUSTED_ORIGINS=origins).SESSION_COOKIE_SECURE is secure


@pytest.mark.parametrize("content", [b"\xff\xfeA\0=\0", b"A=\xe9"])
def test_an_env_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)

    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        env_file(tmp_path / ".env")


def test_a_proxy_written_as_ipv4_inside_ipv6_is_that_ipv4_address() -> None:
    networks = Variables({"PROXIES": "::ffff:10.0.0.0/104"}).networks("PROXIES", [], "")

    assert [str(network) for network in networks] == ["10.0.0.0/8"]
