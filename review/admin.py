"""What the app adds to the admin's pages; Django loads it with the other apps' admin modules."""

from review.page_sections import key_findings

__all__ = ["key_findings"]
