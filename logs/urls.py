"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path

from logs.views import LogsView, LogView

urlpatterns = [
    path("logs", LogsView.as_view(), name="logs"),
    path("logs/<uuid:log_id>", LogView.as_view(), name="log"),
]
