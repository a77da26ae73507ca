"""``manage.py`` in the test's own process; ``tests/conftest.py`` offers ``run`` to every test."""

import sys
from collections.abc import Callable

import pytest
from django.core.management import base

import manage

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``manage.py`` with arguments; return the exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["manage.py", *arguments])
        # A command closes the connection at its end; here the test's transaction lives on it.
        monkeypatch.setattr(base.connections, "close_all", lambda: None)
        capsys.readouterr()
        try:
            code = manage.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
