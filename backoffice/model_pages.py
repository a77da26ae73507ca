"""What every model's pages have in common: no script that none of them uses, and a 404 of a row."""

from typing import Any, NoReturn

from django import forms
from django.http import Http404, HttpRequest

# Fill one field from another as one types, in any alphabet. No form here has such a field.
UNUSED_SCRIPTS = ("urlify.js", "prepopulate.js", "xregexp.js", "xregexp.min.js")


class RowNotFound(Http404):
    """Says which row there is not, in words for people."""


class ModelPages:
    """A mixin for model admins."""

    @property
    def media(self) -> forms.Media:
        media: Any = super().media  # type: ignore[misc]
        scripts = [script for script in media._js if not str(script).endswith(UNUSED_SCRIPTS)]
        return forms.Media(css=media._css, js=scripts)

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> NoReturn:
        """Answer 404 in place of the overview with a message, as Django does."""
        raise RowNotFound(
            f"There is no {opts.verbose_name} with the id {object_id!r}."
            " Check the id, or search for a part of it."
        )
