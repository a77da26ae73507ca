"""Columns that several lists have."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from unfold.decorators import display

MINUTES, SECONDS = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"


def environment_column(colours: Mapping[str, str], **options: Any) -> Any:
    @display(description="Environment", label=colours, **options)
    def column(model_admin: Any, row: Any) -> str:
        return str(row.get_environment_display())

    return column


def time_column(field: str, title: str, *, shown: str = SECONDS, **options: Any) -> Any:
    @display(description=f"{title} (UTC)", **options)
    def column(model_admin: Any, row: Any) -> str:
        timestamp: datetime | None = getattr(row, field)
        return timestamp.strftime(shown) if timestamp else "Never"

    return column
