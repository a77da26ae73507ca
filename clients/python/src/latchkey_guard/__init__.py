"""Asks a Latchkey whether a request to an API of yours may pass.

Every request is asked about (``keys/verify``), so that a revoke binds on the next one. Whatever
keeps Latchkey from answering refuses the request with a 503.
"""

from latchkey_guard.decision import Decision
from latchkey_guard.guard import Guard

__all__ = ["Decision", "Guard"]
