"""The codes of everything that the API can refuse or fail at; callers decide by them.

The guard answers each with its status and title. ``manage.py write_docs`` adds the advice.
"""

from typing import NamedTuple


class ProblemCode(NamedTuple):
    """``advice`` says what to do, and the cause where the title leaves it open."""

    status: int
    title: str
    advice: str


CODES: dict[str, ProblemCode] = {
    "malformed_body": ProblemCode(
        400,
        "The body cannot be read",
        "Send whole UTF-8 JSON. NUL, lone surrogates, duplicate names, NaN, numbers out of range"
        " and nesting over 64 are refused.",
    ),
    "validation_failed": ProblemCode(
        400, "The request does not fit the endpoint", "Correct the fields that `errors` names."
    ),
    "multiple_credentials": ProblemCode(
        400, "More than one credential was sent", "Send one of the two headers, once."
    ),
    "forwarded_incomplete": ProblemCode(
        400,
        "The proxy did not say what was asked of the service",
        "Have the proxy send `X-Forwarded-Method`, `-Uri`, `-Host` and `-For`, each of the first"
        " three once.",
    ),
    "ambiguous_path": ProblemCode(
        400,
        "The path can be read in more than one way",
        "Send it with a slash first, and without dot segments, empty segments, `;`, `\\`, control"
        " characters, and without encoding these, a slash or a dot.",
    ),
    "key_missing": ProblemCode(
        401, "No API key was sent", "Send `Authorization: Bearer <key>` or `X-API-Key: <key>`."
    ),
    "key_invalid": ProblemCode(
        401,
        "The API key is not valid",
        "Check that the key was copied whole, and that its secret was not replaced.",
    ),
    "key_revoked": ProblemCode(401, "The API key was revoked", "Ask an administrator."),
    "key_expired": ProblemCode(401, "The API key has expired", "Ask an administrator."),
    "environment_mismatch": ProblemCode(
        401,
        "The API key belongs to another environment",
        "Send it to `key_environment`, or use a key for `endpoint_environment`. The API has the"
        " environment in its path; of a service the proxy's configuration names it.",
    ),
    "permission_denied": ProblemCode(
        403,
        "The API key lacks a permission",
        "Have `required_permission` added to the key, or the customer scope set to all where"
        " `required_customer_scope` says so; or use another key.",
    ),
    "address_not_allowed": ProblemCode(
        403,
        "The API key may not be used from this address",
        "Call from one of the key's networks, or have them changed.",
    ),
    "proxy_not_trusted": ProblemCode(
        403,
        "Decisions are for trusted proxies only",
        "Add the proxy's address to `TRUSTED_PROXIES`.",
    ),
    "service_disabled": ProblemCode(
        403, "The service is disabled", "Ask an administrator to enable it."
    ),
    "no_rule": ProblemCode(
        403,
        "No rule of the service matches the request",
        "Check the method and the path, or have a rule added to the service.",
    ),
    "not_found": ProblemCode(
        404,
        "There is nothing here",
        "Check the path and the id. What the key may not see is also answered so.",
    ),
    "environment_not_served": ProblemCode(
        404,
        "The environment is not served here",
        "Use an environment that `API_ENVIRONMENTS` names.",
    ),
    "unknown_service": ProblemCode(
        404,
        "There is no such service",
        "Create the service, or correct its name in the proxy's configuration.",
    ),
    "method_not_allowed": ProblemCode(
        405, "The method is not available here", "Use a method that the `Allow` header names."
    ),
    "not_acceptable": ProblemCode(
        406, "Responses are JSON only", "Send `Accept: application/json`."
    ),
    "body_timeout": ProblemCode(
        408,
        "The body took too long to arrive",
        "Send it again, faster or in smaller parts (within `BODY_TIMEOUT_SECONDS`). Nothing was"
        " done.",
    ),
    "conflict": ProblemCode(
        409,
        "The request conflicts with what is stored",
        "Read `detail`, and change what it names first.",
    ),
    "idempotency_in_progress": ProblemCode(
        409, "The first request with this Idempotency-Key is running", "Try again in a moment."
    ),
    "precondition_failed": ProblemCode(
        412, "It was changed in the meantime", "Read it again, and send its `ETag` in `If-Match`."
    ),
    "body_too_large": ProblemCode(413, "The body is too large", "Send less at once."),
    "uri_too_long": ProblemCode(
        414, "The address is too long", "Send at most 8,000 bytes of path and query."
    ),
    "unsupported_media_type": ProblemCode(
        415,
        "The type of the body is not understood",
        "Send `Content-Type: application/json` (a form to `introspect`) in UTF-8, no"
        " `Content-Encoding`, and no `Transfer-Encoding` but `chunked`.",
    ),
    "idempotency_mismatch": ProblemCode(
        422, "The Idempotency-Key was used for another request", "Use a new one."
    ),
    "rate_limited": ProblemCode(
        429,
        "The rate limit is used up",
        "Wait for `Retry-After` seconds. `violated_policies` names the full windows. What costs"
        " more than a limit never passes, and `detail` says so.",
    ),
    "too_many_failures": ProblemCode(
        429,
        "Too many refused requests from this address",
        "Wait for `Retry-After` seconds, and send a valid key. 401 answers are counted.",
    ),
    "header_too_long": ProblemCode(
        431, "A header is too long", "Send at most 8,192 bytes in each header."
    ),
    "internal_error": ProblemCode(
        500, "Something went wrong on our side", "Report `request_id`: it is a defect."
    ),
    "unavailable": ProblemCode(
        503,
        "A service this API depends on is down",
        "Try again after `Retry-After` seconds. Nothing was done.",
    ),
}
