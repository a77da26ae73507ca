"""Services guarded from outside."""
