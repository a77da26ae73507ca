"""Connections, deadlines, fields and ids for every app. It knows nothing of keys."""
