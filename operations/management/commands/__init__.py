"""``backup``, ``restore`` and ``doctor``."""
