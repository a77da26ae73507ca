"""How lists write times and shares."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from backoffice.columns import ago, percent


def test_a_time_far_ahead_is_a_date_and_a_near_one_says_how_long_it_takes() -> None:
    minute = timedelta(minutes=1)

    assert ">2099-01-02</time>" in ago(datetime(2099, 1, 2, tzinfo=UTC))
    assert ">in 89 days</time>" in ago(timezone.now() + timedelta(days=89) + minute)
    assert ">200 days ago</time>" in ago(timezone.now() - timedelta(days=200) - minute)


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 3, "33.3 %"),
        (1, 2, "50 %"),
        (1, 100_000, "0.1 %"),
        (99_999, 100_000, "99.9 %"),
    ],
)
def test_only_none_and_all_are_written_as_such(part: int, whole: int, written: str) -> None:
    assert percent(part, whole) == written
