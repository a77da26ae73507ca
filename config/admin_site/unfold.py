"""The settings of django-unfold: names, colours and the sidebar."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may_view(model: str) -> Any:
    app, _, name = model.partition(".")
    return lambda request: request.user.has_perm(f"{app}.view_{name}")


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    address = reverse_lazy(f"admin:{model.replace('.', '_')}_changelist")
    return {"title": title, "icon": icon, "link": address, "permission": _may_view(model)}


def _stylesheet(request: HttpRequest) -> str:
    return static("latchkey/latchkey.css")


def _script(request: HttpRequest) -> str:
    return static("latchkey/latchkey.js")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Latchkey",
    "SITE_HEADER": "Latchkey",
    "SITE_SUBHEADER": "API key control center",
    "SITE_SYMBOL": "key",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("latchkey/favicon.svg"),
        }
    ],
    "STYLES": [_stylesheet],
    "SCRIPTS": [_script],
    "DASHBOARD_CALLBACK": "config.admin_site.dashboard.add_overview",
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 231)",
            "100": "oklch(94.2% .029 231)",
            "200": "oklch(88.8% .062 232)",
            "300": "oklch(80.9% .105 232)",
            "400": "oklch(71.2% .137 235)",
            "500": "oklch(62.3% .149 240)",
            "600": "oklch(53.2% .140 245)",
            "700": "oklch(45.4% .120 248)",
            "800": "oklch(39.2% .098 249)",
            "900": "oklch(34.1% .079 250)",
            "950": "oklch(24.6% .058 252)",
        }
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {
                        "title": "Overview",
                        "icon": "space_dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                    _item("API Keys", "key", "apikeys.apikey"),
                    _item("Permissions", "verified_user", "apikeys.custompermission"),
                    _item("Services", "shield", "gateway.service"),
                    _item("Customers", "groups", "customers.customer"),
                    _item("Licenses", "workspace_premium", "customers.license"),
                    _item("Telemetry", "monitoring", "customers.telemetryevent"),
                    _item("Background Jobs", "pending_actions", "jobs.job"),
                    _item("Logs", "receipt_long", "logs.requestlog"),
                    _item("Audit", "history", "apikeys.event"),
                    _item("Staff", "badge", "auth.user"),
                    {"title": "API Docs", "icon": "menu_book", "link": reverse_lazy("docs")},
                ]
            }
        ],
    },
}
