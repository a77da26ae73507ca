"""Charts as the admin's Chart.js takes them: data and options, as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

PRIMARY = "var(--color-primary-500)"
AMBER, PURPLE, RED, GREEN, GREY = "#f59e0b", "#a855f7", "#ef4444", "#10b981", "#9ca3af"
COLOURS = (PRIMARY, AMBER, PURPLE, GREEN, RED, GREY)

# A series' name, its numbers and its colour.
Series = Mapping[str, tuple[Sequence[float | None], str]]


def stacked(labels: Sequence[str], series: Series) -> str:
    return _data(labels, series, stack="all")


def lines(labels: Sequence[str], series: Series) -> str:
    """Return lines that span missing numbers."""
    return _data(labels, series, spanGaps=True)


def _data(labels: Sequence[str], series: Series, **more: Any) -> str:
    sets = [
        {
            "label": name,
            "data": list(data),
            "borderColor": colour,
            "backgroundColor": colour,
            **more,
        }
        for name, (data, colour) in series.items()
    ]
    return json.dumps({"labels": list(labels), "datasets": sets})


_LEGEND = {"display": True, "position": "bottom", "labels": {"boxWidth": 12, "color": "#9ca3af"}}
_TICKS = {"color": "#9ca3af", "maxRotation": 0, "autoSkipPadding": 16}


def _options(*, stacked: bool) -> str:
    axis = {"stacked": stacked, "border": {"display": False}, "ticks": _TICKS}
    # What is stacked is counted: half a request on the axis would be odd.
    ticks = _TICKS | {"precision": 0} if stacked else _TICKS
    return json.dumps(
        {
            "animation": False,
            "responsive": True,
            "maintainAspectRatio": False,
            "plugins": {"legend": _LEGEND},
            "scales": {
                "x": {**axis, "grid": {"display": False}},
                "y": {**axis, "ticks": ticks, "beginAtZero": True, "grid": {"color": "#9ca3af33"}},
            },
        }
    )


OPTIONS = _options(stacked=False)
STACKED_OPTIONS = _options(stacked=True)
