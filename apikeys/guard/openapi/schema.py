"""The OpenAPI schema, generated from ``@endpoint`` so that it cannot drift from the code."""

import itertools
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.fields import empty

from apikeys.environments import Environment
from apikeys.guard import idempotency, problems
from apikeys.guard.openapi.problem_schema import ProblemSerializer, problem_example
from apikeys.guard.permissions import ANY_KEY
from apikeys.guard.serializers import NoQuery
from apikeys.guard.views import CHANGING, Operation
from apikeys.problem_codes import CODES

# What any guarded endpoint may answer.
COMMON = (
    "multiple_credentials",
    "validation_failed",
    "key_missing",
    "key_invalid",
    "key_revoked",
    "key_expired",
    "environment_mismatch",
    "address_not_allowed",
    "not_found",
    "method_not_allowed",
    "not_acceptable",
    "rate_limited",
    "too_many_failures",
    "internal_error",
    "unavailable",
)
HEADER_TEXT = {"type": "string", "pattern": "^[!-~]{1,255}$"}
WITH_BODY = ("malformed_body", "body_timeout", "body_too_large", "unsupported_media_type")
WITH_IDEMPOTENCY = ("idempotency_in_progress", "idempotency_mismatch")


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The two ways to send a key."""

    target_class = "apikeys.guard.authentication.ApiKeyAuthentication"
    name = ["bearer", "header"]  # type: ignore[assignment,unused-ignore]

    def get_security_requirement(self, auto_schema: Any) -> Any:
        """Return that either will do; both together are refused."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> Any:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "lk_prod_…"},
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        ]


class EndpointSchema(AutoSchema):
    """Draws an operation from its ``@endpoint``."""

    @property
    def declared(self) -> Operation | None:
        """What the method declares; None for a view that is no endpoint."""
        operation: Operation | None = getattr(self.view, "operations", {}).get(self.method)
        return operation

    def get_summary(self) -> str | None:
        return self.declared.summary if self.declared else super().get_summary()

    def get_description(self) -> str:  # type: ignore[override]
        described: str = super().get_description()
        if self.declared is None:
            return described
        needed = self.declared.permission
        permission = "any valid key" if needed == ANY_KEY else f"`{needed}`"
        return f"{described}\n\nPermission: {permission}."

    def get_operation_id(self) -> str:
        if self.declared is None:
            return str(super().get_operation_id())
        words = self.declared.summary.lower().replace(" a ", " ").replace(" the ", " ")
        return words.replace(" ", "_")

    def get_tags(self) -> list[str]:
        return [self.path.split("/")[4]] if self.declared else list(super().get_tags())

    def get_request_serializer(self) -> Any:
        if self.declared is None:
            return super().get_request_serializer()
        # A body of several forms says itself how it is drawn.
        schema_serializer = getattr(self.declared.body, "schema_serializer", None)
        return schema_serializer() if schema_serializer else self.declared.body

    def get_response_serializers(self) -> Any:
        if self.declared is None:
            return super().get_response_serializers()
        answer = self._answer(self.declared)
        answers: dict[Any, Any] = dict.fromkeys(self.declared.good_statuses, answer)
        if self.declared.media_type:
            file = OpenApiResponse(OpenApiTypes.BINARY, "The file.")
            answers = {(self.declared.status, self.declared.media_type): file}
        by_status: dict[int, list[str]] = {}
        for code in self._problem_codes(self.declared):
            by_status.setdefault(CODES[code].status, []).append(code)
        for status, codes in sorted(by_status.items()):
            described = " or ".join(f"`{code}`" for code in codes)
            answers[status, problems.MEDIA_TYPE] = OpenApiResponse(ProblemSerializer, described)
        return answers

    def get_override_parameters(self) -> list[Any]:
        if self.declared is None:
            return list(super().get_override_parameters())
        parameters: list[Any] = [
            OpenApiParameter(
                "environment", str, OpenApiParameter.PATH, enum=Environment.values, required=True
            ),
            *_answer_headers(),
        ]
        if self.declared.status in (201, 202):
            parameters.append(_answer_header("Location", "Where it is.", [self.declared.status]))
        if self.declared.query is not NoQuery:
            parameters.append(self.declared.query)
        if self.declared.has_etag:
            parameters += _tag_headers(is_change=self.method != "GET")
        if self.declared.idempotent:
            parameters.append(
                OpenApiParameter(
                    idempotency.HEADER,
                    HEADER_TEXT,
                    OpenApiParameter.HEADER,
                    description="Send a request again under the same value and it counts once.",
                )
            )
            text = "`true`, if the answer is the one to the first request."
            good = list(self.declared.good_statuses)
            parameters.append(_answer_header("Idempotent-Replayed", text, good))
        return parameters

    def get_examples(self) -> list[OpenApiExample]:
        if self.declared is None:
            return []
        examples = []
        for form in (self.declared.body, self.declared.response):
            # Of several forms the last is the larger one.
            example = getattr(form[-1] if isinstance(form, tuple) else form, "example", None)
            if example is not None and form is self.declared.body:
                (parser,) = self.view.parser_classes
                examples.append(
                    OpenApiExample(
                        "Request", example, request_only=True, media_type=parser.media_type
                    )
                )
            elif example is not None:
                if self.declared.is_list:
                    example = {"data": [example], "has_more": False, "next_cursor": None}
                good = [str(status) for status in self.declared.good_statuses]
                examples.append(
                    OpenApiExample("Answer", example, response_only=True, status_codes=good)
                )
        return examples + [problem_example(code) for code in self._problem_codes(self.declared)]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if direction == "response":
            present = [name for name in schema["properties"] if _is_always_there(serializer, name)]
            schema["required"] = sorted(present)
        return schema

    def _answer(self, operation: Operation) -> Any:
        if operation.response is None:
            return None
        if isinstance(operation.response, tuple):
            names = [answer.__name__.removesuffix("Serializer") for answer in operation.response]
            forms: Any = list(operation.response)
            return PolymorphicProxySerializer("Or".join(names), forms, None)
        if not operation.is_list:
            return operation.response
        return inline_serializer(
            operation.response.__name__.removesuffix("Serializer") + "Page",
            {
                "data": operation.response(many=True),
                "has_more": serializers.BooleanField(),
                "next_cursor": serializers.CharField(allow_null=True),
            },
        )

    def _problem_codes(self, operation: Operation) -> list[str]:
        codes = [*COMMON, *operation.problems]
        if operation.permission != ANY_KEY:
            codes.append("permission_denied")
        if operation.body is not None or self.method in CHANGING:
            codes += WITH_BODY
        if operation.has_etag and self.method != "GET":
            codes.append("precondition_failed")
        if operation.idempotent:
            codes += WITH_IDEMPOTENCY
        return codes


def _is_always_there(serializer: Any, name: str) -> bool:
    """Return False for a field that the serializer itself declares with ``required=False``.

    What REST framework derives of a model says only whether a body needs the field.
    """
    field = serializer.fields[name]
    is_declared = name in serializer._declared_fields
    has_value = field.required or field.read_only or field.default is not empty
    return has_value or not is_declared


def share(result: Any, **_: Any) -> Any:
    """Put what many operations repeat in one place; drf-spectacular's post-processing hook."""
    components = result["components"]
    headers = components.setdefault("headers", {})
    responses = components.setdefault("responses", {})
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for name, header in answer.get("headers", {}).items():
                    headers[name] = header
                    answer["headers"][name] = {"$ref": f"#/components/headers/{name}"}
                if problems.MEDIA_TYPE in answer.get("content", {}):
                    shared = _shared(responses, f"Problem{status}", answer)
                    operation["responses"][status] = {"$ref": f"#/components/responses/{shared}"}
    return result


def _shared(responses: dict[str, Any], name: str, answer: Any) -> str:
    """Keep ``answer`` under ``name``, or under the next name that is free or has the same."""
    for number in itertools.count(1):
        chosen = name if number == 1 else f"{name}-{number}"
        if responses.setdefault(chosen, answer) == answer:
            return chosen
    raise AssertionError


def _tag_headers(*, is_change: bool) -> list[OpenApiParameter]:
    tag = OpenApiParameter(
        "ETag", str, OpenApiParameter.HEADER, description="Names this version.", response=True
    )
    condition = OpenApiParameter(
        "If-Match",
        HEADER_TEXT,
        OpenApiParameter.HEADER,
        description="The ETag of the version you change; another one is answered 412.",
    )
    return [tag, condition] if is_change else [tag]


def _answer_headers() -> list[OpenApiParameter]:
    described: dict[str, tuple[str, list[int] | bool]] = {
        "X-Request-ID": ("The request's id; name it when you ask about a request.", True),
        "RateLimit-Policy": ("Each window's quota (q) and seconds (w).", True),
        "RateLimit": ("What remains (r), and the seconds until there is more (t).", True),
        "X-RateLimit-Limit": ("The limit of the window with the fewest requests left.", True),
        "X-RateLimit-Remaining": ("How many requests are left in that window.", True),
        "X-RateLimit-Reset": ("In how many seconds that window has room for more.", True),
        "WWW-Authenticate": ("What to authenticate with (RFC 6750).", [401, 403]),
        "Retry-After": ("How many seconds to wait.", [429, 503]),
    }
    return [_answer_header(name, *rest) for name, rest in described.items()]


def _answer_header(name: str, text: str, statuses: list[int] | bool) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text, response=statuses)
