"""The same views unguarded, behind the guard, and behind the common peers."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import path
from ninja import NinjaAPI, Schema
from ninja.security import APIKeyHeader
from ninja.throttling import AuthRateThrottle
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.permissions import BasePermission
from rest_framework.throttling import SimpleRateThrottle
from rest_framework_api_key.models import APIKey
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_tracking.mixins import LoggingMixin

from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from config.urls import urlpatterns as product_urlpatterns
from customers.customers.serializers import CustomerSerializer
from customers.models import Customer


class Unguarded(RetrieveAPIView[Customer]):
    """The view with nothing in front of it."""

    authentication_classes: list[Any] = []
    throttle_classes: list[Any] = []
    permission_classes: list[Any] = []
    serializer_class = CustomerSerializer
    lookup_url_kwarg = "customer_id"

    def get_queryset(self) -> Any:
        """Return the endpoint's environment, as the guarded view does."""
        return Customer.objects.filter(environment=self.kwargs["environment"])


class UnguardedList(ListAPIView[Customer]):
    """The list with nothing in front of it."""

    authentication_classes: list[Any] = []
    throttle_classes: list[Any] = []
    permission_classes: list[Any] = []
    serializer_class = CustomerSerializer
    pagination_class = LimitOffsetPagination

    def get_queryset(self) -> Any:
        """Return the endpoint's environment."""
        return Customer.objects.filter(environment=self.kwargs["environment"])


class Guarded(GuardedView, RetrieveAPIView[Customer]):
    """The view behind authentication, three windows, permission and isolation."""

    serializer_class = CustomerSerializer
    lookup_url_kwarg = "customer_id"

    def get_queryset(self) -> Any:
        """Return what the key may see."""
        return Customer.objects.visible_to(self.key)

    @endpoint(Permission.CUSTOMERS_READ, "Show a customer", response=CustomerSerializer)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer the customer."""
        return self.retrieve(request, *args, **kwargs)


class PeerThrottle(SimpleRateThrottle):
    """REST framework's throttle by API key, one window of a second."""

    rate = "1000000/second"
    scope = "peer"

    def get_cache_key(self, request: Any, view: Any) -> str:
        """Count by the header."""
        return f"peer-{request.META['HTTP_AUTHORIZATION']}"


class Peer(Unguarded):
    """The view behind djangorestframework-api-key and REST framework's throttle."""

    throttle_classes = [PeerThrottle]
    permission_classes: list[type[BasePermission]] = [HasAPIKey]


class TrackedPeer(LoggingMixin, Peer):  # type: ignore[misc]
    """The same with drf-api-tracking's request log."""


class NinjaCustomer(Schema):
    """A customer as django-ninja shows it."""

    id: UUID
    environment: str
    name: str
    email: str
    external_reference: str | None
    status: str
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class NinjaKey(APIKeyHeader):
    """A key in a header, found as djangorestframework-api-key finds its own."""

    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> APIKey | None:
        """Return the key's row."""
        try:
            return cast(APIKey, APIKey.objects.get_from_key(key or ""))
        except APIKey.DoesNotExist:
            return None


ninja = NinjaAPI(auth=NinjaKey(), throttle=[AuthRateThrottle("1000000/s")])


@ninja.get("/{environment}/customers/{customer_id}", response=NinjaCustomer)
def ninja_customer(request: HttpRequest, environment: str, customer_id: UUID) -> Customer:
    """Answer the customer."""
    return get_object_or_404(Customer, environment=environment, pk=customer_id)


ADDRESS = "<environment:environment>/v1/bench"
# Those of other stacks stand outside ``api/``, so that Latchkey does nothing for them.
VIEWS = {
    f"api/{ADDRESS}/guarded": Guarded,
    f"other/{ADDRESS}/unguarded": Unguarded,
    f"other/{ADDRESS}/peer": Peer,
    f"other/{ADDRESS}/tracked": TrackedPeer,
}
urlpatterns = [
    *(path(f"{prefix}/<uuid:customer_id>", view.as_view()) for prefix, view in VIEWS.items()),
    path(f"other/{ADDRESS}/list", UnguardedList.as_view()),
    path("other/ninja/", ninja.urls),
    *product_urlpatterns,
]
