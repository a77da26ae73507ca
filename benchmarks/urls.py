"""The same retrieve view unguarded, behind the guard, and behind the common peers."""

from typing import Any

from django.urls import path
from rest_framework.generics import RetrieveAPIView
from rest_framework.permissions import BasePermission
from rest_framework.throttling import SimpleRateThrottle
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
    *product_urlpatterns,
]
