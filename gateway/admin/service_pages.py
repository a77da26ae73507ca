"""The list of services, and the page of one."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import display

from audit.models import Event
from backoffice.action_forms import ActionFormAdmin
from backoffice.changelists.checked_list import CheckedList
from backoffice.columns import MINUTES, time_column
from backoffice.filters import ChoiceFilter
from backoffice.page_sections import sections_of
from gateway.admin.preview_panel import PreviewForm
from gateway.admin.proxies_panel import proxies_context
from gateway.admin.service_dialogs import ServiceActions, may
from gateway.admin.service_forms import ChangeServiceForm, CreateServiceForm, cost_warning
from gateway.models import Rule, Service
from logs.models import HourlyUsage

SHOWN_EVENTS = 50
VIEW_KEY, VIEW_LOG = "apikeys.view_apikey", "logs.view_requestlog"
ENABLED, DISABLED = "Enabled", "Disabled"
STATE_COLOURS = {ENABLED: "success", DISABLED: "danger"}


class StatusFilter(ChoiceFilter):
    """Enabled or disabled."""

    title = parameter_name = "status"
    offered = (("enabled", ENABLED), ("disabled", DISABLED))

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.filter(is_enabled=value == "enabled")


class NeedsFilter(ChoiceFilter):
    """Services with a rule that needs a permission."""

    title = "needs"
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        codes = Rule.objects.order_by("needs").values_list("needs", flat=True).distinct()
        return [(code, code) for code in codes]

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.filter(pk__in=Rule.objects.filter(needs=value).values("service"))


@admin.register(Service)
class ServiceAdmin(ServiceActions, ActionFormAdmin, CheckedList, ModelAdmin):
    """Services guarded from outside, and their rules."""

    list_display = ("name", "state", "rule_count", "description", "today", "changed")
    list_filter = (StatusFilter, NeedsFilter)
    list_filter_submit = True
    list_per_page = 50
    when_empty = (
        "A service is an API behind your proxy: its rules say which permission a request needs."
    )
    search_fields = ("name", "description")
    search_help_text = "Name or description"
    show_full_result_count = False
    actions_detail = ("enable", "disable", "remove")
    change_form_outer_before_template = "gateway/service_summary.html"
    change_form_outer_after_template = "gateway/service_page.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        rules = Rule.objects.filter(service=OuterRef("pk")).order_by().values("service")
        midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        usage = HourlyUsage.objects.filter(service=OuterRef("name"), hour__gte=midnight)
        today = usage.order_by().values("service").annotate(number=Sum("requests"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                number_of_rules=Coalesce(
                    Subquery(rules.annotate(number=Count("pk")).values("number")), 0
                ),
                requests_today=Coalesce(Subquery(today.values("number")), 0),
            )
        )

    def get_list_display(self, request: HttpRequest) -> Any:
        shows_log = request.user.has_perm(VIEW_LOG)
        return [name for name in self.list_display if shows_log or name != "today"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave deletion to the dialog."""
        return False

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        return CreateServiceForm if obj is None else ChangeServiceForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("name", "description", "is_enabled", "rules")})]
        if may(request, "change"):
            return [(None, {"fields": ("description", "rules", "revision")})]
        return [(None, {"fields": ("description", "numbered_rules")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None or may(request, "change") else ("description", "numbered_rules")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        labels = {"title": "Create service", "save_label": "Create service"}
        return super().add_view(request, form_url, labels | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        service = self.get_object(request, object_id)
        context: dict[str, Any] = {"save_label": "Save changes", "service": service}
        if service is not None:
            events = Event.objects.about(service)
            shown_events = list(events[:SHOWN_EVENTS])
            for event in shown_events:
                # The action says it.
                event.changes.pop("is_enabled", None)
            context |= proxies_context(request, service)
            context |= {
                "title": f"Service {service.name}",
                "state": self.state(service),
                "state_colour": STATE_COLOURS[self.state(service)],
                "preview_form": PreviewForm() if request.user.has_perm(VIEW_KEY) else None,
                "sections": sections_of(request, service),
                "events": shown_events,
                "more_events": max(0, events.count() - SHOWN_EVENTS),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def response_post_save_change(self, request: HttpRequest, obj: Service) -> HttpResponse:
        """Stay on the page, where the rules are tested and a proxy is connected."""
        if warning := cost_warning(obj.rule_lines):
            self.message_user(request, warning, messages.WARNING)
        if not self.has_view_or_change_permission(request, obj):
            return redirect("admin:index")
        return redirect("admin:gateway_service_change", obj.pk)

    response_post_save_add = response_post_save_change

    def get_urls(self) -> Any:
        panels = {"preview": self.preview, "proxies": self.proxies}
        return [
            *(
                path(
                    f"<uuid:object_id>/{name}/",
                    self.admin_site.admin_view(view),
                    name=f"gateway_service_{name}",
                )
                for name, view in panels.items()
            ),
            *super().get_urls(),
        ]

    def _viewed(self, request: HttpRequest, object_id: Any, *needed: str) -> Service:
        if not (self.has_view_permission(request) and request.user.has_perms(needed)):
            raise PermissionDenied
        service: Service | None = self.get_object(request, str(object_id))
        if service is None:
            raise Http404
        return service

    def proxies(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Answer the panel of a service's page with other configurations."""
        context = proxies_context(request, self._viewed(request, object_id), request.GET)
        return render(request, "gateway/proxies_panel.html", context)

    def preview(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Answer the panel of a service's page with a preview."""
        service = self._viewed(request, object_id, VIEW_KEY)
        if request.method != "POST":
            return redirect("admin:gateway_service_change", object_id)
        form = PreviewForm(request.POST)
        result = form.result(service) if form.is_valid() else None
        context = {"service": service, "preview_form": form, "result": result}
        return render(request, "gateway/preview_panel.html", context)

    changed = time_column("updated_at", "Changed", shown=MINUTES, ordering="updated_at")

    @display(description="State", ordering="is_enabled", label=STATE_COLOURS)
    def state(self, service: Service) -> str:
        return ENABLED if service.is_enabled else DISABLED

    @display(description="Rules", ordering="number_of_rules")
    def rule_count(self, service: Any) -> int:
        number: int = service.number_of_rules
        return number

    @display(description="Requests today", ordering="requests_today")
    def today(self, service: Any) -> str:
        return format_html(
            '<a class="latchkey-link" href="{}?service={}">{}</a>',
            reverse("admin:logs_requestlog_changelist"), service.name, service.requests_today,
        )  # fmt: skip

    @display(description="Rules")
    def numbered_rules(self, service: Service) -> str:
        lines = ((line,) for line in service.rule_lines)
        items = format_html_join("", "<li><code>{}</code></li>", lines)
        return format_html('<ol class="latchkey-rule-lines">{}</ol>', items) if items else "None"
