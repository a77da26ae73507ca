"""Forms that validate, then act: a refusal becomes an error beside the field it is about.

``is_valid`` is pure, as everywhere in Django. Whoever shows the form calls ``perform`` in a
transaction: ``dialogs`` for a dialog, ``ActionFormAdmin`` for the page that adds or changes a row.
"""

from copy import copy
from typing import Any

from django import forms
from django.contrib.admin.helpers import AdminErrorList
from django.http import HttpRequest

from backoffice import proofs
from database.refusals import ProofRequired, Refused


class ActionForm(forms.BaseForm):
    """A mixin for forms whose effect is more than the saving of their fields."""

    def perform(self, request: HttpRequest) -> Any:
        """Do what the valid form asks for; raise ``Refused`` if it may not be done."""
        raise NotImplementedError

    # Fields for a proof of who somebody is, shown with the form once it asked for one.
    proof = ""

    def add_refusal(self, refused: Refused, request: HttpRequest, form_id: str = "") -> None:
        self.add_error(refused.field if refused.field in self.fields else None, str(refused))
        if isinstance(refused, ProofRequired):
            self.proof = proofs.fields(request, form_id)


class RefusedForm(Exception):
    """Rolls back the transaction of the page."""

    def __init__(self, form: Any) -> None:
        self.form = form


def form_id_of(model_admin: Any) -> str:
    """Return the id that the theme gives the form of a page."""
    return f"{model_admin.opts.model_name}_form"


class RefusedForms:
    """A mixin for model admins. Validation writes what was typed into the object of the page."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Head the page of a refused form with the row as it is stored."""
        if form := context.pop("refused_form", None):
            context["adminform"].form = form
            context["errors"] = AdminErrorList(form, [])
        elif (typed := context["original"]) is not None and context["errors"]:
            context["original"] = type(typed)._default_manager.get(pk=typed.pk)
            context["subtitle"] = str(context["original"])
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a refused form again, on the page that a GET would show now."""
        view = super().changeform_view  # type: ignore[misc]
        # Before the transaction of the page: a wrong proof stays on record.
        proofs.take(request)
        try:
            return view(request, object_id, form_url, extra_context)
        except RefusedForm as refused:
            page = copy(request)
            page.method = "GET"
            context = {**(extra_context or {}), "refused_form": refused.form}
            return view(page, object_id, form_url, context)


class ActionFormAdmin(RefusedForms):
    """A mixin for model admins whose forms perform, and record their own audit events."""

    def save_form(self, request: HttpRequest, form: ActionForm, change: bool) -> Any:
        """Return what the form made; Django hands it to the response."""
        try:
            return form.perform(request)
        except Refused as refused:
            form.add_refusal(refused, request, form_id_of(self))
            raise RefusedForm(form) from None

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        """The form has performed, and its audit event is the record."""

    save_model = save_related = log_addition = log_change = construct_change_message = _nothing
