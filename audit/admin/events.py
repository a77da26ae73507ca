"""The audit trail, read-only."""

from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from audit import export
from audit.actors import actor_of
from audit.admin.filters import (
    ActionFilter,
    EnvironmentFilter,
    KindFilter,
    PersonFilter,
    TimeFilter,
)
from audit.differences import differences
from audit.kinds import field_label, kinds
from audit.models import Event, Seal
from backoffice.changelists.checked_list import CheckedList
from backoffice.changelists.pagination import KeysetChangeList
from backoffice.columns import readable, time_column
from backoffice.read_only import ReadOnlyAdmin

ACTION_COLOURS = {
    "Created": "success",
    "Updated": "info",
    "Regenerated": "warning",
    "Revoked": "danger",
    "Activated": "success",
    "Deleted": "danger",
    "Password refused": "warning",
    "Locked out": "danger",
}
# How far back a part of a name is looked for: nothing indexes the middle of a text.
SEARCHED = 100_000


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin, CheckedList, ModelAdmin):
    """Who did what to which object, when, from where."""

    list_display = ("when", "what", "named", "by", "source", "address", "reason")
    list_display_links = ("when",)
    list_filter = (
        KindFilter,
        ActionFilter,
        PersonFilter,
        ("source", ChoicesDropdownFilter),
        EnvironmentFilter,
        ("created_at", TimeFilter),
    )
    list_filter_submit = True
    list_per_page = 50
    list_before_template = "audit/events_export.html"
    search_fields = ("pk",)
    search_help_text = "Id, name, or who acted"
    show_full_result_count = False
    sortable_by: tuple[str, ...] = ()
    fields = (
        "when", "what", "named", "in_environment", "by", "source", "address", "reason", "changed",
        "place",
    )  # fmt: skip
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave out the kinds whose objects the person may not see."""
        hidden = [
            kind.model
            for kind in kinds().values()
            if kind.permission and not request.user.has_perm(kind.permission)
        ]
        rows = super().get_queryset(request)
        return rows.exclude(object_type__in=hidden) if hidden else rows

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find by an id or a whole name of who acted, else by a part of the object's name."""
        term = search_term.strip()[:200]
        if not term:
            return queryset, False
        # The kinds are named because the index begins with them.
        of_object = {"object_type__in": list(kinds()), "object_id": term}
        for exact in (of_object, {"actor_name": term}):
            matches = queryset.filter(**exact)
            if matches.exists():
                return matches, False
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            pass
        oldest = queryset.order_by("-pk").values_list("pk", flat=True)[SEARCHED : SEARCHED + 1]
        if floor := list(oldest):
            queryset = queryset.filter(pk__gt=floor[0])
        return queryset.filter(object_label__icontains=term), False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        _add_pages(request, page.result_list)
        return page

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            _add_pages(request, [event])
        return event

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view(self.export)
        return [path("export/<str:form>/", view, name="audit_event_export"), *super().get_urls()]

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Answer what is listed as a file; on record, as the trail itself says who took it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if form not in export.FORMATS:
            raise Http404
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:audit_event_changelist") + "?e=1")
        export.record_export(actor_of(request), form, request.GET.urlencode())
        return StreamingHttpResponse(
            export.lines(rows, form),
            content_type=export.FORMATS[form],
            headers={"Content-Disposition": f'attachment; filename="audit.{form}"'},
        )

    when = time_column("created_at", "When")

    @display(description="Action", label=ACTION_COLOURS)
    def what(self, event: Event) -> str:
        return event.get_action_display()

    @display(description="Object")
    def named(self, event: Any) -> str:
        text = event.object_label or event.object_id or "-"
        link = '<a class="latchkey-link" href="{0}">{1}</a>' if event.page else "{1}"
        kind = event.get_object_type_display()
        return format_html(link + '<div class="latchkey-caption">{2}</div>', event.page, text, kind)

    @display(description="By")
    def by(self, event: Event) -> str:
        return event.actor_name

    @display(description="Environment")
    def in_environment(self, event: Event) -> str:
        return event.environment.capitalize() or "-"

    @display(description="Changes")
    def changed(self, event: Event) -> str:
        rows = [
            (
                one.name,
                field_label(event.object_type, one.name),
                _marked("del", one.removed),
                _marked("ins", one.added),
            )
            for one in differences(event.changes)
        ]
        lines = '<div data-change="{0}"><strong>{1}</strong> {2} {3}</div>'
        return format_html_join("", lines, rows) if rows else "None"

    @display(description="Place in the chain")
    def place(self, event: Event) -> str:
        seal = Seal.objects.filter(event_id=event.pk).first()
        return str(seal) if seal else "None"


def _marked(tag: str, items: list[str]) -> SafeString:
    sign = {"del": "\N{MINUS SIGN}", "ins": "+"}[tag]
    return format_html_join(
        " ", f"<{tag}>{{}} {{}}</{tag}>", ((sign, readable(item) or '""') for item in items)
    )


def _valid(field: Any, ids: set[str]) -> list[Any]:
    """Return the ids that a field can hold: an event that was altered may name anything."""
    valid = []
    for identifier in ids:
        try:
            valid.append(field.to_python(identifier))
        except ValidationError:
            continue
    return valid


def _add_pages(request: HttpRequest, events: list[Any]) -> None:
    """Set ``page`` of each event: the address of its object, if it is there and may be seen."""
    pages: dict[tuple[str, str], str] = {}
    for kind in kinds().values():
        ids = {event.object_id for event in events if event.object_type == kind.model} - {""}
        app, _, model = kind.model.partition(".")
        if not ids or not request.user.has_perm(f"{app}.view_{model}"):
            continue
        model_class = apps.get_model(kind.model)
        pk: Any = model_class._meta.pk
        field = pk if kind.id_field == "pk" else model_class._meta.get_field(kind.id_field)
        rows = model_class._default_manager.filter(**{f"{kind.id_field}__in": _valid(field, ids)})
        for identifier, pk in rows.values_list(kind.id_field, "pk"):
            pages[kind.model, str(identifier)] = reverse(f"admin:{app}_{model}_change", args=(pk,))
    for event in events:
        event.page = pages.get((event.object_type, event.object_id), "")
