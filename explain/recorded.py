"""A request on record with what is kept of its content: what a replay can go by."""

import json
import re
from functools import cached_property
from typing import Any

from apikeys.limits import WINDOWS
from apikeys.models import ApiKey
from logs.models import Kind, RequestContent, RequestLog

INTROSPECT = "/introspect"
# A credential as the log keeps it: the key id may stay.
KEY_ID = re.compile(r"_([0-9A-Za-z]{12})_\*\*\*")
# draft-ietf-httpapi-ratelimit-headers: what was left of each window.
REMAINING = re.compile(r'"(\w+)";r=(\d+)')


class Recorded:
    """A row of the log; its content is read once."""

    def __init__(self, log: RequestLog) -> None:
        self.log = log

    @property
    def is_decision(self) -> bool:
        return self.log.kind == Kind.DECISION

    @property
    def is_introspection(self) -> bool:
        """Whether a token was looked up, which no limit and no network stands in the way of."""
        return self.log.caller_id is not None and self.log.path.endswith(INTROSPECT)

    @cached_property
    def content(self) -> RequestContent:
        return RequestContent.objects.filter(pk=self.log.pk).first() or RequestContent(
            request_headers="{}", response_headers="{}"
        )

    @cached_property
    def problem(self) -> dict[str, Any]:
        """The problem details of the answer; empty where there is none, or it was not kept."""
        if not self.log.code:
            return {}
        try:
            body = json.loads(self.content.response_body)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @cached_property
    def body(self) -> Any:
        """The JSON that was sent; None where it is none, or was not kept whole."""
        if self.content.is_request_cut:
            return None
        try:
            return json.loads(self.content.request_body)
        except ValueError:
            return None

    @cached_property
    def full_windows(self) -> list[str]:
        """The windows that had no room; none where the answer did not say, or spoke of another."""
        named = self.problem.get("violated_policies")
        if isinstance(named, list):
            return [window.name for window in WINDOWS if window.name in named]
        if self.log.caller_id is not None:
            # The answer told the key that asked, of its own limits.
            return []
        header = RequestContent.headers(self.content.response_headers).get("RateLimit", "")
        return [name for name, left in REMAINING.findall(header) if left == "0"]

    def claimed_key(self) -> ApiKey | None:
        """Return the key that an unaccepted credential named, if the log kept its key id."""
        headers = RequestContent.headers(self.content.request_headers)
        text = f"{headers.get('Authorization', '')} {headers.get('X-Api-Key', '')}"
        match = KEY_ID.search(text)
        return match and ApiKey.objects.filter(pk=match[1]).first()
