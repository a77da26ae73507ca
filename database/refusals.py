"""The errors of changes that were refused, raised by the lifecycles and shown by every source."""


class Refused(Exception):
    """A change that was not made; the message says what is wrong and what to do.

    ``field`` names the field at fault; it is None when the state of the row is.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ProofRequired(Refused):
    """Somebody has to prove first who they are; then the same request is accepted."""


class Conflict(Refused):
    """The row is no longer as its reader saw it, or something else stands in the way."""
