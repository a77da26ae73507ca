"""Puts rows into the request log's store, whichever it is."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.conf import settings
from django.db.models import UUIDField
from django.db.models.expressions import DatabaseDefault
from django.utils.module_loading import import_string

from logs.models import RequestContent, RequestLog


def save(log: RequestLog, content: RequestContent) -> None:
    """Store a request as it stands."""
    if not settings.LOG_STORE_URL:
        log.save(force_insert=True)
        content.save(force_insert=True)
        return
    fields = (*log._meta.concrete_fields, *content._meta.concrete_fields[1:])
    values = [
        getattr(log if field.model is RequestLog else content, field.attname) for field in fields
    ]
    values = [
        UUID(value) if isinstance(field, UUIDField) and isinstance(value, str) else value
        for field, value in zip(fields, values, strict=True)
    ]
    row = orjson.dumps(values_of_json(values))
    import_string("logs.stores.clickhouse.insert")(row, str(uuid4()))


def values_of_json(values: list[Any]) -> list[Any]:
    """Return values as ClickHouse reads them from JSON."""
    return [
        str(value.int) if isinstance(value, UUID)
        else f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime)
        else value.expression.value if isinstance(value, DatabaseDefault)
        else value
        for value in values
    ]  # fmt: skip


def empty() -> None:
    """Delete every row of a store that has a server of its own."""
    server = import_string("logs.stores.clickhouse.server")()
    server.execute("TRUNCATE TABLE IF EXISTS logs_requestlog")
