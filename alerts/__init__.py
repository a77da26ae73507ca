"""E-mail about keys: what goes wrong with one, and that one expires."""
