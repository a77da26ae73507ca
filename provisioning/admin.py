"""What a manifest says of a key, a customer or a service, on its page."""

from functools import partial
from typing import Any

from django.http import HttpRequest

from backoffice.page_sections import page_section
from provisioning.manifests.drift import declared


def _manifest(kind: str, request: HttpRequest, row: Any) -> dict[str, Any]:
    return {"declared": declared(kind, row)}


for _model, _kind, _permission in (
    ("apikey", "key", "apikeys.view_apikey"),
    ("customer", "customer", "customers.view_customer"),
    ("service", "service", "gateway.view_service"),
):
    page_section(
        _model,
        "manifest",
        "Manifest",
        permission=_permission,
        template="provisioning/manifest.html",
    )(partial(_manifest, _kind))
