"""The base view of every API endpoint; its guard checks in this order, the first failure wins.

Credential and network (401, 403), limits (429), method (405), permission and customer scope (403),
``Accept`` (406), query (400), the permissions that the body needs (403), body (400). ``@endpoint``
declares a method's permission, input and response. The guard enforces it and the OpenAPI schema is
generated from it, so neither can drift.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Model
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.guard import idempotency, statements, throttling
from apikeys.guard.answers import (
    SerializerClass,
    Shown,
    can_share,
    etag,
    represent,
    representation,
)
from apikeys.guard.context import context_of
from apikeys.guard.isolation import visible_columns
from apikeys.guard.key_lookup import KEY_FIELDS
from apikeys.guard.middleware import body_length
from apikeys.guard.parsers import unsupported_media_type
from apikeys.guard.permissions import ANY_KEY, require_permissions, scope_denial
from apikeys.guard.problems import MEDIA_TYPE, Problem, not_found
from apikeys.guard.serializers import (
    NoBody,
    NoQuery,
    PageQuery,
    StrictSerializer,
    read_query,
    shared_serializer,
    validated,
)
from apikeys.limiter.store import Decision
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from database.client_address import client_address

F = TypeVar("F", bound=Callable[..., Any])
REFUSED = re.compile(r"q=0(\.0{0,3})?")

# Methods whose body, if there is one, is read and judged.
CHANGING = frozenset({"POST", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Operation:
    """What one method of an endpoint needs, takes and answers; a decorator of that method."""

    permission: Permission | str
    summary: str
    _: KW_ONLY
    query: type[StrictSerializer] = NoQuery
    body: type[StrictSerializer] | None = None
    # The permissions that the body needs besides; called before validation, with any JSON value.
    body_permissions: Callable[[Any], Iterable[Permission]] | None = None
    # Whether a key for selected customers is refused.
    needs_all_customers: bool = False
    # Of several, ``show`` answers a row as the first.
    response: SerializerClass | tuple[SerializerClass, ...] | None = None
    is_list: bool = False
    status: int = 200
    extra_statuses: tuple[int, ...] = ()
    # What is answered, if it is not JSON.
    media_type: str = ""
    # Whether the answer has an ETag, and a change may name it in If-Match.
    has_etag: bool = False
    # Whether it honours Idempotency-Key; ``resolve_target`` is then called first.
    idempotent: bool = False
    # The members of a good answer that are given once: stored and replayed as null.
    given_once: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def good_statuses(self) -> tuple[int, ...]:
        return (self.status, *self.extra_statuses)

    def __call__(self, method: F) -> F:
        declared: Any = method
        if self.idempotent:
            declared = idempotency.idempotent(method, given_once=self.given_once)
        declared.operation = self
        return cast(F, declared)


def require_customers(operation: Operation, key: ApiKey) -> None:
    """Raise the 403 for a key of selected customers where the operation takes one for all."""
    if operation.needs_all_customers and key.is_scoped:
        raise scope_denial(key.environment, operation.permission)


# As views write it: ``@endpoint(Permission.CUSTOMERS_READ, "List customers", …)``.
endpoint = Operation


class JSONNegotiation(DefaultContentNegotiation):
    """Takes UTF-8 JSON only; common ``Accept`` values skip the parsing."""

    USUAL = frozenset(
        {"*/*", "", "application/json", "application/json, */*", "*/*, application/json"}
    )

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the one parser there is, or raise the 415."""
        (parser,) = parsers
        if not parser.takes(request.META.get("CONTENT_TYPE", "")):
            raise unsupported_media_type(parser.media_type)
        return parser

    @staticmethod
    def _other_media_types(request: Request) -> Iterator[str]:
        """Yield what may be answered besides JSON itself: problems, and a declared file."""
        yield MEDIA_TYPE
        view: GuardedView = request.parser_context["view"]
        operation = view.operations.get(request.method or "")
        if operation is not None and operation.media_type:
            yield operation.media_type

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        accept = request.META.get("HTTP_ACCEPT", "*/*")
        if accept in self.USUAL:
            return renderers[0], renderers[0].media_type
        ranges = [part.replace(" ", "").lower().split(";") for part in accept.split(",")]
        # Quality 0 means "not acceptable" (RFC 9110 §12.4.2).
        named = {kind for kind, *rest in ranges if not any(REFUSED.fullmatch(p) for p in rest)}
        if not named.isdisjoint(self._other_media_types(request)):
            return renderers[0], renderers[0].media_type
        return super().select_renderer(request, renderers, format_suffix)


class GuardedView(APIView):
    """Authenticates, counts, permits, and only then reads what was sent.

    REST framework would ask for the permission before the throttle; here a request without
    the permission counts, and one over its limit learns nothing more.
    """

    # By method: what it declares, and the permission it needs. One that declares none is refused.
    operations: ClassVar[Mapping[str, Operation]] = {}
    required_permissions: ClassVar[Mapping[str, Permission | str]] = {}
    allow: ClassVar[dict[str, str]] = {}
    methods: ClassVar[frozenset[str]] = frozenset()

    content_negotiation_class = JSONNegotiation

    # Whether the key may be sent as the password of HTTP Basic too.
    takes_basic: ClassVar[bool] = False
    # What the guard's one query reads of the calling key's row; the rest is deferred.
    key_fields: ClassVar[tuple[str, ...]] = KEY_FIELDS
    # Whether the request log may keep bodies that known keys send.
    keeps_body: ClassVar[bool] = True

    # REST framework sets it in the `initial` that ours replaces; addresses have no suffix here.
    format_kwarg = None

    # The validated query and body.
    query: dict[str, Any]
    body: dict[str, Any]

    @property
    def key(self) -> ApiKey:
        return cast(ApiKey, context_of(self.request).key)

    @property
    def actor(self) -> Actor:
        """The calling key, for the record of what it does."""
        address = client_address(self.request.META, settings.TRUSTED_PROXIES)
        return Actor(source=Source.API, name=f"key {self.key.pk}", address=address)

    def resolve_target(self) -> bool:
        """Find what an idempotent request names, or refuse it.

        Called before the first request and before each replay, so that an answer is not given
        again to a key that no longer reaches what it is about. Return whether the stored
        answer may be replayed.
        """
        return True

    def set_log_customer(self, customer_id: UUID) -> None:
        """Name the customer for the request log, where the path does not."""
        context_of(self.request).customer = str(customer_id)

    def tag_of(self, row: Any) -> str:
        return etag(row.pk, row.updated_at)

    def require_match(self, row: Any) -> None:
        """Raise the 412 if the caller changes something else than what is stored."""
        if_match = self.request.headers.get("If-Match")
        if if_match is None or if_match.strip() == "*":
            return
        if self.tag_of(row) not in (tag.strip() for tag in if_match.split(",")):
            raise Problem(
                "precondition_failed",
                "It was changed after you read it. Read it again, and send its ETag.",
            )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        methods: dict[str, Any] = {
            name.upper(): getattr(cls, name) for name in cls.http_method_names if hasattr(cls, name)
        }
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
        cls.operations = {
            name: method.operation
            for name, method in methods.items()
            if hasattr(method, "operation")
        }
        cls.methods = frozenset(methods)
        cls.allow = {"Allow": ", ".join(sorted(methods))}
        cls.required_permissions = {"OPTIONS": ANY_KEY} | {
            name: operation.permission for name, operation in cls.operations.items()
        }

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Run the guard; the first check that fails is the answer."""
        context = context_of(request)
        context.keeps_body = self.keeps_body
        self.perform_authentication(request)
        self.check_throttles(request)
        method = request.method or ""
        if method not in self.methods:
            self.http_method_not_allowed(request)
        self.check_permissions(request)
        operation = self.operations.get(method)
        if operation is not None:
            require_customers(operation, self.key)
        negotiated = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = negotiated
        if operation is not None:
            self._read(request, operation)

    def throttled(self, request: Request, wait: float | None) -> NoReturn:
        raise throttling.refusal(cast(Decision, context_of(request).decision))

    @property
    def default_response_headers(self) -> dict[str, str]:
        return self.allow

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        # A shared cache does not know that X-API-Key tells callers apart.
        response["Cache-Control"] = "no-store"
        decision = context_of(request).decision
        if decision is not None:
            for name, value in throttling.headers(decision).items():
                response[name] = value
        return response

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Return the serializer of a generic view, with fields made once where it only answers."""
        generic: Any = super()
        is_answer = len(args) == 1 and args[0] is not None and kwargs.keys() <= {"many"}
        if is_answer and can_share(serializer_class := cast(Any, self).get_serializer_class()):
            make = partial(generic.get_serializer, *args, **kwargs)
            return Shown(serializer_class, args[0], make, many=kwargs.get("many", False))
        return generic.get_serializer(*args, **kwargs)

    def show(self, row: Any, status: int = 200, **headers: str) -> Response:
        """Answer a row as the method declares it; one that can be changed has an ETag."""
        form = self.operations[self.request.method or ""].response
        shown = represent(form[0] if isinstance(form, tuple) else cast(SerializerClass, form), row)
        return self.tagged(shown, status, **headers)

    def show_new(self, row: Any, status: int = 201) -> Response:
        return self.show(row, status, Location=f"{self.request.path}/{row.id}")

    def show_visible(self, model: type[Model], row_id: UUID) -> Response:
        """Answer a row that the key may see, of which all that is asked are columns."""
        form = representation(cast(SerializerClass, self.operations["GET"].response))
        shown = form.of_columns(visible_columns(model, self.key, row_id, form.columns))
        return self.tagged(shown)

    def tagged(self, shown: dict[str, Any], status: int = 200, **headers: str) -> Response:
        if "updated_at" in shown:
            headers["ETag"] = etag(shown["id"], shown["updated_at"])
        return Response(shown, status, headers=headers)

    def page(
        self, rows: Any, *, prepare: Callable[[list[Any], ApiKey], None] | None = None
    ) -> Response:
        """Answer the page of ``rows`` that the query asks for, which ``prepare`` is given first."""
        operation = self.operations["GET"]
        form = representation(cast(SerializerClass, operation.response))
        limit: int = self.query["limit"]
        query_class = cast(type[PageQuery], operation.query)
        chosen = query_class.narrow(rows, self.query).order_by(*query_class.ORDER)[: limit + 1]
        if form.columns and prepare is None:
            found = statements.read(chosen.values_list(*form.columns))
            data = [form.of_columns(values) for values in found[:limit]]
        else:
            found = list(chosen)
            page = found[:limit]
            if prepare is not None:
                prepare(page, self.key)
            data = form.of_all(page)
        cursor = query_class.cursor_after(data[-1]) if len(found) > limit else None
        return Response({"data": data, "has_more": cursor is not None, "next_cursor": cursor})

    def _read(self, request: Request, operation: Operation) -> None:
        http = request._request
        if operation.query is not NoQuery or http.META.get("QUERY_STRING"):
            self.query = read_query(http, operation.query)
        is_sent = request.method in CHANGING and body_length(http.META) > 0
        if operation.body is not None or is_sent:
            if operation.body_permissions is not None:
                require_permissions(self.key, operation.body_permissions(request.data))
            self.body = validated(
                operation.body or NoBody, request.data, partial=request.method == "PATCH"
            )


def compile_operations(view: type[GuardedView] = GuardedView) -> None:
    """Read once what the methods of all views declare, which each would at its first request."""
    for method, operation in view.operations.items():
        forms = operation.response
        for form in forms if isinstance(forms, tuple) else (forms,):
            if form is not None:
                representation(form)
        for reading in (operation.query, operation.body or NoBody):
            _ = shared_serializer(reading, reading is operation.body and method == "PATCH").readers
    for derived in view.__subclasses__():
        compile_operations(derived)


class UnknownEndpointView(GuardedView):
    """Every path under an environment that is no endpoint: a 404 for those with a key.

    Guarded like an endpoint, so that walking paths needs a key, counts, and is on record.
    """

    # No part of the public schema.
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        self.check_throttles(request)
        raise not_found()
