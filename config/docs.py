"""The API's own documentation: public, and complete without a network."""

from typing import Any

from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView


class SchemaView(SpectacularJSONAPIView):
    """OpenAPI 3.1, as JSON. Public: what there is to call is no secret, and no key calls it."""

    throttle_classes: list[Any] = []


class DocsView(SpectacularSwaggerView):
    """Swagger UI, served from the installation itself."""

    throttle_classes: list[Any] = []
