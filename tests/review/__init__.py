"""The review of keys, and proposed changes."""
