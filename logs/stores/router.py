"""Which database a model's rows are in, where the request log has a store of its own."""

from typing import Any

ALIAS = "log_store"
STORED_APART = {"logs.requestlog", "logs.requestcontent"}


class LogRouter:
    """Django asks it for every query that names no database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return ALIAS if model._meta.label_lower in STORED_APART else "default"

    db_for_write = db_for_read

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db != ALIAS
