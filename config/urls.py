"""Every address: the guarded API by environment, its documentation, the admin, health."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path, re_path, register_converter
from django.urls.converters import StringConverter
from django.utils.functional import lazy
from django.views.generic import RedirectView

import apikeys.urls
import customers.urls
import gateway.urls
import handover.urls
import jobs.urls
import logs.urls
import provisioning.urls
from apikeys.guard.views import UnknownEndpointView
from config.monitoring import health, metrics_view
from config.openapi_views import DocsView, SchemaView


class EnvironmentConverter(StringConverter):
    """An environment that this deployment serves; any other one is an unknown path."""

    regex = "|".join(settings.API_ENVIRONMENTS)


register_converter(EnvironmentConverter, "environment")

# One list, not a list of lists: Django would try each in turn for each request.
endpoints: list[Any] = [
    *apikeys.urls.urlpatterns,
    *customers.urls.urlpatterns,
    *logs.urls.urlpatterns,
    *jobs.urls.urlpatterns,
    *gateway.urls.urlpatterns,
    *provisioning.urls.urlpatterns,
]
# Whatever it holds, line ends too: no path gets past the guard.
unknown = re_path(r"^(?P<rest>[\s\S]*)\Z", UnknownEndpointView.as_view(), name="nothing-here")

urlpatterns = [
    path("api/<environment:environment>/v1/", include([*endpoints, unknown])),
    path("api/<environment:environment>/v1", UnknownEndpointView.as_view()),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(url_name="schema"), name="docs"),
    *handover.urls.urlpatterns,
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics_view.metrics, name="metrics"),
    # Asked for by browsers on a page without an icon, such as /healthz.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("latchkey/favicon.svg"))),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
]

handler400 = "config.admin_site.error_views.bad_request"
handler403 = "config.admin_site.error_views.forbidden"
handler404 = "config.admin_site.error_views.not_found"
handler500 = "config.admin_site.error_views.failed"
