"""Headers, bodies and the curl command on a request's page."""

import json
import shlex
from typing import Any
from urllib.parse import quote

from apikeys.problem_codes import CODES
from logs.capture.record import OMITTED
from logs.models import RequestContent, RequestLog

SKIPPED_HEADERS = {
    "Host",
    "Content-Length",
    "Connection",
    "Accept-Encoding",
    "Cookie",
    "Traceparent",
    "Tracestate",
    "Transfer-Encoding",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Method",
    "X-Forwarded-Proto",
    "X-Forwarded-Uri",
    OMITTED,
}


def content_of(record: RequestLog) -> dict[str, Any]:
    content = RequestContent.objects.filter(pk=record.pk).first() or RequestContent(
        request_headers="{}", response_headers="{}"
    )
    request_headers = json.loads(content.request_headers)
    problem = _object(content.response_body) if record.code else {}
    return {
        "content": content,
        "request_headers": sorted(request_headers.items()),
        "response_headers": sorted(json.loads(content.response_headers).items()),
        "request_body": _pretty(content.request_body),
        "response_body": _pretty(content.response_body),
        "curl": _curl(record, request_headers, content),
        "refusal": CODES[record.code].title if record.code in CODES else record.code,
        "refusal_detail": problem.get("detail", ""),
        "refusal_errors": problem.get("errors", []),
    }


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _curl(record: RequestLog, headers: dict[str, str], content: RequestContent) -> str:
    is_https = headers.get("X-Forwarded-Proto") == "https"
    host = record.host or headers.get("Host", "localhost")
    path = quote(record.path, safe="/:@!$&'()*+,;=~")
    parts = ["curl"]
    if set("[]{}") & set(path + record.query):
        parts.append("--globoff")
    if record.method == "HEAD":
        parts.append("--head")
    elif record.method != "GET" or content.request_body:
        parts += ["-X", record.method]
    for name, value in headers.items():
        if name not in SKIPPED_HEADERS:
            parts += ["-H", f"{name}: {value}"]
    if content.request_body:
        # As it is: a body that begins with @ is no file.
        parts += ["--data-raw", content.request_body]
    address = f"{'https' if is_https else 'http'}://{host}{path}"
    parts.append(f"{address}?{record.query}" if record.query else address)
    return shlex.join(parts)
