"""The API's own documentation: public, and complete without a network."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from apikeys.guard import problems


class _PublicView(APIView):
    """A page that needs no key. What there is to call is no secret, and no key calls it."""

    throttle_classes: list[Any] = []

    def options(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Answer with the ``Allow`` header alone."""
        return HttpResponse(status=204)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Write a problem as JSON, whatever the page itself is written as."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code >= 400:
            response.accepted_renderer = JSONRenderer()
            response.content_type = problems.MEDIA_TYPE
        return response


class SchemaView(_PublicView, SpectacularJSONAPIView):
    """OpenAPI 3.1, as JSON."""


class DocsView(_PublicView, SpectacularSwaggerView):
    """Swagger UI, served from the installation itself."""
