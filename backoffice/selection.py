"""Checks the ids of the selected rows of a list, which a client may forge."""

from typing import Any
from uuid import UUID

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.http import HttpRequest


class CheckedSelection:
    """Leaves out what cannot be an id of the model; Django would fail on it."""

    model: Any

    def response_action(self, request: HttpRequest, queryset: Any, *args: Any) -> Any:
        sent = request.POST.getlist(ACTION_CHECKBOX_NAME)
        possible = [text for text in sent if self._can_be_id(text)]
        if possible != sent:
            data = request.POST.copy()
            data.setlist(ACTION_CHECKBOX_NAME, possible)
            request.POST = data  # type: ignore[assignment]
        return super().response_action(request, queryset, *args)  # type: ignore[misc]

    def _can_be_id(self, text: str) -> bool:
        try:
            self.model._meta.pk.clean(text, None)
        except (ValidationError, ValueError):
            return False
        return "\0" not in text


def is_id(text: Any) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True
