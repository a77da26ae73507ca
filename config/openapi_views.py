"""The API's own documentation: public, and complete without a network."""

from threading import Lock
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpResponse
from django.utils.encoding import force_bytes
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.views import APIView


class _PublicView(APIView):
    """A page that needs no key. What there is to call is no secret, and no key calls it."""

    # No part of what is drawn.
    schema = None
    throttle_classes: list[Any] = []

    def options(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Answer with the ``Allow`` header alone."""
        return HttpResponse(status=204)


class SchemaView(_PublicView, SpectacularJSONAPIView):
    """OpenAPI 3.1, as JSON: drawn once a process, since that takes a second and needs no key."""

    _drawing = Lock()
    _drawn: ClassVar[dict[str, bytes]] = {}

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        media_type = request.accepted_renderer.media_type
        # One at a time: what draws it loads its parts at first use, and not for several threads.
        with self._drawing:
            if media_type not in self._drawn:
                response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
                self._drawn[media_type] = force_bytes(
                    request.accepted_renderer.render(response.data)
                )
        return HttpResponse(self._drawn[media_type], content_type=media_type)


class DocsView(_PublicView, SpectacularSwaggerView):
    """Swagger UI, served from the installation itself: a page, unlike the rest under ``/api/``."""

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response["Content-Security-Policy"] = settings.DOCS_CONTENT_SECURITY_POLICY
        response["Permissions-Policy"] = settings.PERMISSIONS_POLICY
        # The base lets a window of another site open the page and keep hold of it, for OAuth.
        response["Cross-Origin-Opener-Policy"] = settings.SECURE_CROSS_ORIGIN_OPENER_POLICY
        return response
