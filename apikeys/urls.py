"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path

from apikeys.views import CallingKeyView

urlpatterns = [path("key", CallingKeyView.as_view(), name="key")]
