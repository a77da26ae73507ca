"""The deadline of a request."""

import pytest

from database import deadline


def test_work_that_is_slow_by_intent_uses_up_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(deadline, "monotonic", lambda: now[0])

    with deadline.running(1):
        now[0] += 0.25
        with deadline.computing():
            now[0] += 5
        left = deadline.seconds_left()
        now[0] += 0.5
        then = deadline.seconds_left()

    assert (left, then, deadline.seconds_left()) == (0.75, 0.25, None)


def test_without_a_deadline_there_is_none_afterwards() -> None:
    with deadline.computing():
        pass

    assert deadline.seconds_left() is None
