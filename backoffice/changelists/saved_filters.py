"""Saves the filters of a list under a name, and deletes them: each person has his own.

They give nobody a right and change no row, so no audit event is written.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from backoffice.form_fields import LineField
from backoffice.models import MAX_NAME_LENGTH, MAX_QUERY_LENGTH, SavedFilter

# Of one person and list: they are shown in a line above it.
MAX_SAVED = 20
# Replaces the secrets in a text.
Mask = Callable[[str], str]


class SaveForm(forms.Form):
    """A name, and what the list's address has behind its question mark."""

    name = LineField(max_length=MAX_NAME_LENGTH)
    query = forms.CharField(max_length=MAX_QUERY_LENGTH)

    def __init__(self, data: Any, *, mask: Mask) -> None:
        super().__init__(data)
        self.mask = mask

    def clean(self) -> Any:
        written = unquote("\n".join(self.cleaned_data.values()))
        if self.mask(written) != written:
            raise forms.ValidationError(
                "What is saved would hold an API key. Search for its key id instead."
            )
        return super().clean()

    def clean_query(self) -> str:
        query = QueryDict(self.cleaned_data["query"], mutable=True)
        for name in (PAGE_VAR, ERROR_FLAG):
            query.pop(name, None)
        if not query:
            raise forms.ValidationError("No filter is in force. Set one, and save it then.")
        return query.urlencode()


def saved_by(person: Any, list_name: str) -> QuerySet[SavedFilter]:
    return SavedFilter.objects.filter(person=person, list_name=list_name).order_by("name")


def list_name_of(model: Any) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


@require_POST
def save(request: HttpRequest, list_name: str, *, site: AdminSite, mask: Mask) -> HttpResponse:
    """Save, in place of what had the name."""
    _require_view(request, list_name, site)
    form = SaveForm(request.POST, mask=mask)
    if not form.is_valid():
        for error in [text for texts in form.errors.values() for text in texts]:
            messages.error(request, str(error))
        query = QueryDict(request.POST.get("query", "")[:MAX_QUERY_LENGTH]).urlencode()
        return _list(list_name, "" if form.non_field_errors() else query)
    name, query = form.cleaned_data["name"], form.cleaned_data["query"]
    with transaction.atomic():
        others = saved_by(request.user, list_name).exclude(name=name)
        if others.count() >= MAX_SAVED:
            messages.error(
                request, f"You have {MAX_SAVED} saved filters of this list. Delete one first."
            )
            return _list(list_name, query)
        saved_by(request.user, list_name).update_or_create(
            {"query": query, "person": request.user, "list_name": list_name}, name=name
        )
    messages.success(request, f"The filters are saved as “{name}”.")
    return _list(list_name, query)


@require_POST
def delete(request: HttpRequest, list_name: str, saved_id: Any, *, site: AdminSite) -> HttpResponse:
    _require_view(request, list_name, site)
    saved = saved_by(request.user, list_name).filter(pk=saved_id).first()
    if saved is None:
        raise Http404
    saved.delete()
    messages.success(request, f"The saved filters “{saved.name}” are deleted.")
    return _list(list_name, "")


def pages(site: AdminSite, *, mask: Mask) -> list[tuple[str, Any, str]]:
    route = "saved-filters/<str:list_name>/"
    return [
        (route, partial(save, site=site, mask=mask), "saved_filter_save"),
        (f"{route}<uuid:saved_id>/delete/", partial(delete, site=site), "saved_filter_delete"),
    ]


def _require_view(request: HttpRequest, list_name: str, site: AdminSite) -> None:
    for model, model_admin in site._registry.items():
        if list_name_of(model) == list_name:
            if model_admin.has_view_or_change_permission(request):
                return
            raise PermissionDenied
    raise Http404


def _list(list_name: str, query: str) -> HttpResponse:
    return redirect(f"{reverse(f'admin:{list_name}_changelist')}{f'?{query}' if query else ''}")
