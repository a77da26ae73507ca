"""The request context, which the response headers and the request log read."""

from typing import TYPE_CHECKING, Any, NamedTuple

from uuid_utils import uuid7

from apikeys.limiter.store import Decision

# The server reads headers with the guard's rules before Django has loaded the models.
if TYPE_CHECKING:
    from apikeys.models import ApiKey


class Decided(NamedTuple):
    """A decision about another request, with a presented key: what the log keeps instead.

    ``context`` is that of the presented key. What is blank is as in the request to decide, but for
    the address: the server that asks is not the client.
    """

    context: "RequestContext"
    status: int
    service: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    address: str = ""
    route: str = ""


class RequestContext:
    """What is known of a request; each step of the guard adds to it."""

    __slots__ = (
        "body",
        "code",
        "counted_at",
        "customer",
        "decided",
        "decision",
        "is_key_accepted",
        "job",
        "keeps_body",
        "key",
        "limiter_time",
        "lookup_time",
        "permission",
        "request_id",
        "route",
        "secret_version",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        # Known once the secret matched, be the request refused later or not.
        self.key: ApiKey | None = None
        self.secret_version: int | None = None
        # Whether that key may be used now, in this environment and from this address.
        self.is_key_accepted = False
        # Known once the limits were asked.
        self.decision: Decision | None = None
        # The problem's code, if the answer is one.
        self.code: str | None = None
        # The permission that was needed, once it was found to be there.
        self.permission: str | None = None
        # What was read of the body.
        self.body: bytes | None = None
        # Whether the log may keep that. One with a credential it may not.
        self.keeps_body = True
        # The ids of the customer and the job concerned, where the path does not name them.
        self.customer: str | None = None
        self.job: str | None = None
        # The path of the rule that matched, if the request was one of a proxy.
        self.route = ""
        # What was decided, if the request was one to decide.
        self.decided: Decided | None = None
        # Nanoseconds that the key's lookup and the limiter took, and when the latter was done.
        self.lookup_time = self.limiter_time = self.counted_at = 0


def context_of(request: Any) -> RequestContext:
    """Return the context of Django's request or REST framework's; the first call makes it."""
    http = getattr(request, "_request", request)
    if not hasattr(http, "context"):
        # As text from the start: a fifth of the cost of Python's own UUID.
        http.context = RequestContext(str(uuid7()))
    context: RequestContext = http.context
    return context
