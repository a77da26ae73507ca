"""Reverse proxies that ask Latchkey."""
