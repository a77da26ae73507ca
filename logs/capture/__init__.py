"""From a request to its redacted record on disk."""
