"""Keys that are managed by keys."""
