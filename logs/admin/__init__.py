"""The request log in the admin."""

from logs.admin import columns, finders, key_facts, page_sections
from logs.admin.requests import RequestLogAdmin

__all__ = ["RequestLogAdmin", "columns", "finders", "key_facts", "page_sections"]
