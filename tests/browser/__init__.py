"""The admin, driven in a real browser."""
