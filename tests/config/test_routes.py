"""Every route and method: guarded, and told apart by nothing a key must not see.

The matrix is made from the routes themselves. A route that is not covered here, or a method
that declares no permission, fails.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.guard.authentication import ApiKeyAuthentication
from apikeys.guard.parsers import FormParser
from apikeys.guard.permissions import ANY_KEY, HasRequiredPermission
from apikeys.guard.throttling import KeyThrottle
from apikeys.guard.views import GuardedView, UnknownEndpointView
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.models import Event
from customers.models import Customer
from tests.support.api_client import Caller
from tests.support.factories import (
    ACTOR,
    issue,
    make_activation,
    make_customer,
    make_event,
    make_job,
    make_license,
    make_request,
)

pytestmark = pytest.mark.django_db

PUBLIC = {
    "api/schema", "api/docs", "favicon.ico", "healthz", "metrics", "readyz", "", "admin",
    "handover/<anytext:token>",
}  # fmt: skip
ID = re.compile(r"<(?:uuid|key):(\w+)>")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

LICENSE = "licenses/<uuid:license_id>"
KEY = "keys/<key:key_id>"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def make_key(customer: Customer, *, is_revoked: bool = False) -> ApiKey:
    key = issue(environment=Environment(customer.environment), customers=[customer.pk]).key
    if is_revoked:
        lifecycle.revoke(key, actor=ACTOR)
    return key


# What each route's path needs: how to make, for a customer and a key, the object that it names
# or, for a list, one that it shows.
OBJECTS: dict[str, Callable[[Customer, ApiKey], Model] | None] = {
    "key": None,
    "keys/verify": None,
    "introspect": None,
    "customers": lambda customer, key: customer,
    "customers/<uuid:customer_id>": lambda customer, key: customer,
    "licenses": lambda customer, key: make_license(customer),
    "licenses/validate": None,
    f"{LICENSE}": lambda customer, key: make_license(customer),
    f"{LICENSE}/suspend": lambda customer, key: make_license(customer),
    f"{LICENSE}/reinstate": lambda customer, key: make_license(customer, status="suspended"),
    f"{LICENSE}/renew": lambda customer, key: make_license(customer, expires_at=LONG_AGO),
    f"{LICENSE}/revoke": lambda customer, key: make_license(customer),
    f"{LICENSE}/activations": lambda customer, key: make_activation(customer),
    f"{LICENSE}/activations/<uuid:activation_id>": lambda customer, key: make_activation(customer),
    "telemetry": lambda customer, key: make_event(customer),
    "telemetry/summary": None,
    "telemetry/<uuid:telemetry_id>": lambda customer, key: make_event(customer),
    "jobs": lambda customer, key: make_job(key),
    "jobs/<uuid:job_id>": lambda customer, key: make_job(key),
    "jobs/<uuid:job_id>/cancel": lambda customer, key: make_job(key),
    "jobs/<uuid:job_id>/result": lambda customer, key: make_job(
        key, status="succeeded", file_name="result.ndjson", file_type="application/x-ndjson"
    ),
    "keys": lambda customer, key: key,
    KEY: lambda customer, key: make_key(customer),
    f"{KEY}/events": lambda customer, key: Event.objects.about(make_key(customer)).get(),
    f"{KEY}/regenerate": lambda customer, key: make_key(customer),
    f"{KEY}/revoke": lambda customer, key: make_key(customer),
    f"{KEY}/activate": lambda customer, key: make_key(customer, is_revoked=True),
    "logs": lambda customer, key: make_request(key=key, customer=customer),
    "logs/<uuid:log_id>": lambda customer, key: make_request(key=key, customer=customer),
}
# No answer of theirs may be given again: the key can have been revoked meanwhile.
DECISIONS = {"keys/verify", "introspect"}
# A body that each endpoint would accept.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "keys/verify"): {"key": "lk_prod_nonsense"},
    ("POST", "introspect"): b"token=lk_prod_nonsense",
    ("POST", "customers"): {"name": "Made"},
    ("POST", "licenses"): lambda customer: {"customer": str(customer.pk), "product": "Made"},
    ("POST", "jobs"): {"type": "customers.export"},
    ("POST", "licenses/validate"): {"license_key": "00000-00000-00000-00000-00000"},
    ("PATCH", LICENSE): {"product": "Changed"},
    ("POST", f"{LICENSE}/renew"): {"expires_at": "2999-01-01T00:00:00Z"},
    ("POST", f"{LICENSE}/activations"): {"fingerprint": "a machine"},
    ("POST", "telemetry"): lambda customer: {"customer": str(customer.pk), "type": "made"},
    ("PATCH", "customers/<uuid:customer_id>"): {"name": "Changed"},
    ("POST", "keys"): lambda customer: {"name": "Made", "customers": [str(customer.pk)]},
    ("PATCH", KEY): {"name": "Changed"},
    ("POST", f"{KEY}/regenerate"): {"overlap": 3600},
    ("POST", f"{KEY}/revoke"): {"reason": "Changed"},
}
# A key that manages others is told of one beyond it that it may not change it: 403, not 404.
MANAGING = {KEY, f"{KEY}/regenerate", f"{KEY}/revoke", f"{KEY}/activate"}


class Route(NamedTuple):
    """An address and the view behind it."""

    path: str
    view: Any


def routes(resolver: Any = None, prefix: str = "") -> Iterator[Route]:
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if not path.startswith("admin/"):
                yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern):
            yield Route(path, getattr(pattern.callback, "cls", pattern.callback))


API = [route for route in routes() if route.path.startswith("api/<")]
PREFIX = "api/<environment:environment>/v1/"
ENDPOINTS = {
    route.path.removeprefix(PREFIX): route.view
    for route in API
    if route.view is not UnknownEndpointView
}
OPERATIONS = [
    (method, path)
    for path, view in ENDPOINTS.items()
    for method in METHODS
    if method in view.required_permissions
]


def required(method: str, path: str) -> Permission | str:
    permission: Permission | str = ENDPOINTS[path].required_permissions[method]
    return permission


def test_every_route_is_public_by_name_or_guarded() -> None:
    unguarded = [route.path for route in routes() if route not in API]
    assert set(unguarded) <= PUBLIC, "make it public by name here, or guard it"

    for route in API:
        assert issubclass(route.view, GuardedView), route
        assert route.view.authentication_classes == [ApiKeyAuthentication], route
        assert route.view.throttle_classes == [KeyThrottle], route
        assert route.view.permission_classes == [HasRequiredPermission], route


def test_every_method_of_every_endpoint_declares_its_permission() -> None:
    for path, view in ENDPOINTS.items():
        for method in METHODS:
            if hasattr(view, method.lower()):
                assert method in view.required_permissions, (method, path)
                assert required(method, path) in {ANY_KEY, *Permission}, (method, path)


def test_the_matrix_covers_every_route() -> None:
    assert set(OBJECTS) == set(ENDPOINTS), "name the object a new route needs"
    bodies = {(m, p) for p, v in ENDPOINTS.items() for m, o in v.operations.items() if o.body}
    assert set(BODIES) == bodies, "give a body for a new operation"


def address(path: str, target: Any) -> str:
    # An event is reached through the object that it is about.
    identifier = getattr(target, "object_id", None) or getattr(target, "pk", None)
    return ID.sub(lambda found: str(getattr(target, found[1], identifier)), path)


def call(caller: Caller, method: str, path: str, target: Any = None) -> Any:
    body = BODIES.get((method, path))
    if callable(body):
        # Where a customer is named in the body: the target's, or one of the caller's environment.
        body = body(
            getattr(target, "customer", None) or make_customer(environment=caller.environment)
        )
    form = {"content_type": FormParser.media_type} if isinstance(body, bytes) else {}
    return caller.call(method, address(path, target), body, **form)


def everything(environment: Environment, **settings: Any) -> Caller:
    issued = issue(environment=environment, permissions=list(Permission), **settings)
    return Caller(issued, environment=environment)


def made(path: str, customer: Customer, key: ApiKey) -> Any:
    maker = OBJECTS[path]
    return maker(customer, key) if maker else None


def made_by_another(path: str, environment: Environment = Environment.PRODUCTION) -> Any:
    stranger = issue(environment=environment).key
    return made(path, make_customer(environment=environment), stranger)


def state(thing: Any) -> Any:
    return type(thing).objects.filter(pk=thing.pk).values().get()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_key_with_every_permission_gets_through(method: str, path: str) -> None:
    issued = issue(permissions=list(Permission))
    target = made(path, make_customer(), issued.key)

    response = call(Caller(issued), method, path, target)

    assert response.status_code in {200, 201, 202, 204}, response.content


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_without_the_permission_it_is_403_whether_or_not_the_object_exists(
    method: str, path: str
) -> None:
    if required(method, path) == ANY_KEY:
        return
    others = [permission for permission in Permission if permission != required(method, path)]
    caller = Caller(issue(permissions=others))
    for target in (made_by_another(path), made_by_another(path, Environment.STAGING)):
        response = call(caller, method, path, target)

        assert response.status_code == 403
        if method != "HEAD":
            assert response.json()["required_permission"] == required(method, path)


WITH_OBJECT = [
    (method, path) for method, path in OPERATIONS if ID.search(path) and method != "OPTIONS"
]


@pytest.mark.parametrize(("method", "path"), WITH_OBJECT)
@pytest.mark.parametrize(("mine", "theirs"), list(itertools.permutations(Environment, 2)))
def test_another_environments_object_is_404(
    method: str, path: str, mine: Environment, theirs: Environment
) -> None:
    stranger = made_by_another(path, theirs)
    before = state(stranger)

    response = call(everything(mine), method, path, stranger)

    assert response.status_code == 404
    assert state(stranger) == before


@pytest.mark.parametrize(("method", "path"), WITH_OBJECT)
def test_another_customers_object_is_404(method: str, path: str) -> None:
    other = made_by_another(path)
    before = state(other)
    caller = everything(Environment.PRODUCTION, customers=[make_customer().pk])

    response = call(caller, method, path, other)

    is_told = path in MANAGING and method in {"POST", "PATCH"}
    assert response.status_code == (403 if is_told else 404)
    assert state(other) == before


def test_every_post_but_a_decision_honours_an_idempotency_key() -> None:
    posts = [o for view in ENDPOINTS.values() if (o := view.operations.get("POST"))]

    assert {o for o in posts if not o.idempotent} == {
        ENDPOINTS[path].operations["POST"] for path in DECISIONS
    }


LISTS = [
    path for path, view in ENDPOINTS.items() if (o := view.operations.get("GET")) and o.is_list
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_shows_the_keys_own_environment_and_customers_only(path: str) -> None:
    customer = make_customer()
    issued = issue(permissions=list(Permission), customers=[customer.pk])
    mine = made(path, customer, issued.key)
    made_by_another(path)
    made_by_another(path, Environment.STAGING)

    rows = call(Caller(issued), "GET", path, mine).json()["data"]

    assert {row["id"] for row in rows} == {str(mine.pk)}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("credential", ["none", "other environment"])
def test_nobody_else_gets_in(method: str, path: str, credential: str) -> None:
    stranger = issue(environment=Environment.STAGING, permissions=list(Permission))
    caller = Caller(stranger if credential != "none" else None)

    response = call(caller, method, path, made_by_another(path))

    assert response.status_code == 401


POSTS = [path for method, path in OPERATIONS if method == "POST" and path not in DECISIONS]


@pytest.mark.parametrize("path", POSTS)
def test_a_replay_passes_the_guard_of_now(path: str) -> None:
    customer, other = make_customer(), make_customer()
    # A customer is made with a key for all alone.
    scope = None if path == "customers" else [customer.pk, other.pk]
    issued = issue(permissions=list(Permission), customers=scope)
    caller, target = Caller(issued), made(path, customer, issued.key)
    body = BODIES.get(("POST", path))
    body = body(customer) if callable(body) else body
    if path == "jobs":
        params = {"customers": [str(customer.pk)], "product": "Made"}
        body = {"type": "licenses.bulk_issue", "params": params}
    if path == "licenses/validate":
        body = {"license_key": make_license(customer).license_key}

    def post(name: str) -> tuple[bool, int, Any]:
        answer = caller.post(address(path, target), body, HTTP_IDEMPOTENCY_KEY=name)
        own = {"request_id"} | {*ENDPOINTS[path].operations["POST"].given_once}
        alike = {name: value for name, value in answer.json().items() if name not in own}
        return "Idempotent-Replayed" in answer, answer.status_code, alike

    first, replayed = post("one"), post("one")
    lifecycle.update(issued.key, actor=ACTOR, customers=[other.pk])
    again, anew = post("one"), post("two")

    assert first[1] in {200, 201, 202}
    assert replayed == (True, *first[1:])
    assert again == anew
    assert not again[0]
