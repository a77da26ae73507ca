"""How limits are written."""

import pytest

from apikeys.limits import WINDOWS, Limits, Rate, parse_limits, parse_rate

BASE = tuple(window.default for window in WINDOWS)


def base_with(**numbers: int) -> Limits:
    return tuple(numbers.get(window.name, window.default) for window in WINDOWS)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("600/min,20000/hour,200000/day", BASE),
        ("5/min", base_with(minute=5)),
        (" 0/d , 7/h", base_with(hour=7, day=0)),
        ("1/MINUTE", base_with(minute=1)),
    ],
)
def test_a_window_left_out_keeps_its_number(text: str, limits: Limits) -> None:
    assert parse_limits(text, BASE) == limits


@pytest.mark.parametrize(
    "text",
    ["", "5", "5/week", "-1/min", "1.5/min", "5/min,6/min", "5/min,", "5/sec", "9" * 11 + "/min"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_limits(text, BASE)


@pytest.mark.parametrize(
    ("text", "rate"), [("60/min", Rate(60, 60)), ("1/s", Rate(1, 1)), ("9/hour", Rate(9, 3600))]
)
def test_a_rate_is_a_number_and_a_unit(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate
