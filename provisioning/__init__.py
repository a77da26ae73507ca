"""Keys that are managed through the API, by keys."""
