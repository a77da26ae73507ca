"""The settings of django-unfold: names and the sidebar. Its colours are in ``theme.css``."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _may_view(model: str) -> Any:
    app, _, name = model.partition(".")
    return lambda request: request.user.has_perm(f"{app}.view_{name}")


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    address = reverse_lazy(f"admin:{model.replace('.', '_')}_changelist")
    return {"title": title, "icon": icon, "link": address, "permission": _may_view(model)}


def _static(name: str) -> Any:
    return lambda request: static(f"latchkey/{name}")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Latchkey",
    "SITE_HEADER": "Latchkey",
    "SITE_SUBHEADER": "API key control center",
    "SITE_SYMBOL": "key",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("latchkey/favicon.svg"),
        }
    ],
    "STYLES": [_static("latchkey.css"), _static("access.css"), _static("search.css")],
    "SCRIPTS": [
        _static("latchkey.js"),
        _static("access.js"),
        _static("search.js"),
        _static("ids_and_times.js"),
    ],
    "DASHBOARD_CALLBACK": "config.admin_site.dashboard.add_overview",
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
                    {
                        "title": "Review",
                        "icon": "rule",
                        "link": reverse_lazy("admin:review_queue"),
                        "permission": _may_view("logs.requestlog"),
                    },
                    _item("Permissions", "verified_user", "apikeys.custompermission"),
                    _item("Services", "shield", "gateway.service"),
                    _item("Customers", "groups", "customers.customer"),
                    _item("Licenses", "workspace_premium", "customers.license"),
                    _item("Telemetry", "monitoring", "customers.telemetryevent"),
                    _item("Jobs", "pending_actions", "jobs.job"),
                    _item("Requests", "receipt_long", "logs.requestlog"),
                    _item("Audit events", "history", "audit.event"),
                    _item("Staff", "badge", "auth.user"),
                    {"title": "API Docs", "icon": "menu_book", "link": reverse_lazy("docs")},
                ]
            }
        ],
    },
}
