"""Every route and method: guarded, and told apart by nothing a key must not see.

The matrix is made from the routes themselves. A route that is not covered here, or a method
that declares no permission, fails.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from apikeys.environments import Environment
from apikeys.guard.authentication import ApiKeyAuthentication
from apikeys.guard.permission import ANY_KEY, HasRequiredPermission
from apikeys.guard.throttling import KeyThrottle
from apikeys.guard.views import GuardedView, NothingHere
from apikeys.permissions import Permission
from tests.api import Caller
from tests.factories import issue, make_customer

pytestmark = pytest.mark.django_db

PUBLIC = {"api/schema", "api/docs", "healthz", "readyz", ""}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# What each route's path needs: how to make, in an environment, the object that it names.
OBJECTS = {
    "key": None,
    "customers": None,
    "customers/<uuid:customer_id>": lambda customer: customer,
}
# A body that each endpoint would accept.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "customers"): {"name": "Made"},
    ("PATCH", "customers/<uuid:customer_id>"): {"name": "Changed"},
}


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
    route.path.removeprefix(PREFIX): route.view for route in API if route.view is not NothingHere
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
    for converter in ("<uuid:customer_id>",):
        path = path.replace(converter, str(getattr(target, "pk", "")))
    return path


def call(caller: Caller, method: str, path: str, target: Any = None) -> Any:
    return caller.call(method, address(path, target), BODIES.get((method, path)))


def everything(environment: Environment, **settings: Any) -> Caller:
    issued = issue(environment=environment, permissions=list(Permission), **settings)
    return Caller(issued, environment=environment)


def made(path: str, customer: Any) -> Any:
    maker = OBJECTS[path]
    return maker(customer) if maker else None


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_key_with_every_permission_gets_through(method: str, path: str) -> None:
    customer = make_customer()

    response = call(everything(Environment.PRODUCTION), method, path, made(path, customer))

    assert response.status_code in {200, 201, 202, 204}, response.content


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_without_the_permission_it_is_403_whether_or_not_the_object_exists(
    method: str, path: str
) -> None:
    if required(method, path) == ANY_KEY:
        return
    others = [permission for permission in Permission if permission != required(method, path)]
    caller = Caller(issue(permissions=others))
    here = made(path, make_customer())
    elsewhere = made(path, make_customer(environment=Environment.STAGING))

    for target in (here, elsewhere):
        response = call(caller, method, path, target)

        assert response.status_code == 403
        if method != "HEAD":
            assert response.json()["required_permission"] == required(method, path)


WITH_OBJECT = [
    (method, path) for method, path in OPERATIONS if OBJECTS.get(path) and method != "OPTIONS"
]


@pytest.mark.parametrize(("method", "path"), WITH_OBJECT)
@pytest.mark.parametrize(("mine", "theirs"), list(itertools.permutations(Environment, 2)))
def test_another_environments_object_is_404(
    method: str, path: str, mine: Environment, theirs: Environment
) -> None:
    stranger = make_customer(environment=theirs)

    response = call(everything(mine), method, path, made(path, stranger))

    assert response.status_code == 404
    assert type(stranger).objects.filter(pk=stranger.pk, name=stranger.name).exists()


@pytest.mark.parametrize(("method", "path"), WITH_OBJECT)
def test_another_customers_object_is_404(method: str, path: str) -> None:
    mine, other = make_customer(), make_customer()
    caller = everything(Environment.PRODUCTION, customers=[mine.pk])

    response = call(caller, method, path, made(path, other))

    assert response.status_code == 404
    assert type(other).objects.filter(pk=other.pk, name=other.name).exists()


LISTS = [
    path for path, view in ENDPOINTS.items() if (o := view.operations.get("GET")) and o.is_list
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_shows_the_keys_own_environment_and_customers_only(path: str) -> None:
    mine = make_customer()
    make_customer()
    make_customer(environment=Environment.STAGING)
    caller = everything(Environment.PRODUCTION, customers=[mine.pk])

    rows = call(caller, "GET", path).json()["data"]

    assert {row.get("customer", row["id"]) for row in rows} == {str(mine.pk)}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("credential", ["none", "other environment"])
def test_nobody_else_gets_in(method: str, path: str, credential: str) -> None:
    stranger = issue(environment=Environment.STAGING, permissions=list(Permission))
    caller = Caller(stranger if credential != "none" else None)

    response = call(caller, method, path, made(path, make_customer()))

    assert response.status_code == 401
