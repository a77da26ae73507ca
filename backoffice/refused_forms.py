"""A form that was refused: what its page says is stored is what the database holds."""

from typing import Any

from django.http import HttpRequest


class RefusedForms:
    """A mixin for model admins. Validation writes what was typed into the object of the page."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Head the page of a refused form with the row as it is stored."""
        typed = context["original"]
        if typed is not None and context["errors"]:
            context["original"] = type(typed)._default_manager.get(pk=typed.pk)
            context["subtitle"] = str(context["original"])
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]
