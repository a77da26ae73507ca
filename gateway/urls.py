"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path

from gateway.endpoints.views import IntrospectView, VerifyView

urlpatterns = [
    path("keys/verify", VerifyView.as_view(), name="key-verify"),
    path("introspect", IntrospectView.as_view(), name="introspect"),
]
