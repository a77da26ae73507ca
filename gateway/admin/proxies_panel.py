"""The panel with the configurations of proxies, filled in for a service and this deployment."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apikeys.environments import Environment
from database.refusals import Refused
from gateway.models import Service
from gateway.proxies import PROXIES, configuration, main_files

NAMES = {"nginx": "nginx", "haproxy": "HAProxy"}
APPLICATION = "127.0.0.1:9000"


def served_environments() -> list[tuple[str, str]]:
    served = settings.API_ENVIRONMENTS
    return [(value, str(label)) for value, label in Environment.choices if value in served]


class ProxiesForm(forms.Form):
    """What a configuration is filled in with, beside the service's name."""

    environment = forms.ChoiceField(choices=served_environments, widget=UnfoldAdminSelectWidget)
    latchkey = forms.CharField(widget=UnfoldAdminTextInputWidget, label="Latchkey's address")
    application = forms.CharField(
        widget=UnfoldAdminTextInputWidget, label="Your application's address"
    )

    def configurations(self, service: Service) -> list[dict[str, Any]]:
        """Return each proxy and its files; of a form that is not valid, none."""
        if not self.is_valid():
            return []
        try:
            return [
                {
                    "name": NAMES.get(proxy, proxy.capitalize()),
                    "files": configuration(proxy, service=service.name, **self.cleaned_data),
                    "main_files": main_files(
                        proxy,
                        service=service.name,
                        application=self.cleaned_data["application"],
                    ),
                }
                for proxy in PROXIES
            ]
        except Refused as refused:
            self.add_error(None, str(refused))
            return []


def proxies_context(
    request: HttpRequest, service: Service, sent: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what the panel shows: what its form sent, else what this deployment has.

    The page of the service takes none of it from its own address: a link to the page must not
    fill in somebody else's Latchkey.
    """
    defaults = {
        "environment": served_environments()[0][0],
        "latchkey": _own_address(request),
        "application": APPLICATION,
    }
    form = ProxiesForm(defaults if sent is None else sent, auto_id="id_proxies_%s")
    return {
        "service": service,
        "configurations": form.configurations(service),
        "proxies_form": form,
        "trusts_no_proxy": not settings.TRUSTED_PROXIES,
    }


def _own_address(request: HttpRequest) -> str:
    host = request.get_host()
    has_port = host.rpartition(":")[2].isdigit()
    return host if has_port else f"{host}:{443 if request.is_secure() else 80}"
