"""Dialogs about one row: the button on its page, the form, and the action on POST alone."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, TypeVar

from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from backoffice import proofs
from backoffice.action_forms import ActionForm
from database.refusals import Refused

M = TypeVar("M", bound=Model)


def find(model: type[M], object_id: Any) -> M | None:
    """Return the row that an address names; None if there is none, or the id cannot be one."""
    try:
        return model._default_manager.filter(pk=object_id).first()
    except (ValidationError, ValueError):
        return None


class ActionDialog(ActionForm, BaseDialogForm, Generic[M]):
    """The form of a dialog about one row of ``model``."""

    form_before_template = "backoffice/dialog_errors.html"
    model: type[M]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = find(self.model, self.object_id)
        if row is None:
            raise Http404
        self.row = row

    @property
    def row_name(self) -> str:
        """What the title and the button call the row."""
        return str(self.row)

    def impact(self) -> list[str]:
        """Return what is to be known of the row before it is changed."""
        return []

    def get_before_template_context(self, request: Any, object_id: Any = None) -> dict[str, Any]:
        return {"errors": self.non_field_errors(), "proof": self.proof}


def dialog_action(
    form_class: type[ActionDialog[Any]],
    *,
    label: str,
    title: str,
    description: str,
    permission: str,
    is_dangerous: bool = False,
    close: str = "Cancel",
    **button: Any,
) -> Callable[[Callable[[Any, HttpRequest, Any], str | HttpResponse]], Any]:
    """Declare a button whose dialog performs ``form_class`` in one transaction.

    In ``title`` a ``{}`` stands for the row's name; the dialog's own button has the same words.
    The decorated method gets what the form made, still within the transaction. It returns the
    message for the row's page, to which the browser is sent, or a response of its own.
    """
    before, _, after = title.partition("{}")
    dialog = {
        "before": before,
        "after": after,
        "description": description,
        "form_class": form_class,
        "variant": "danger" if is_dangerous else "",
        # What leaves everything as it is; where the action itself is to cancel, another word.
        "close": close,
    }

    def decorate(answer: Callable[[Any, HttpRequest, Any], str | HttpResponse]) -> Any:
        @action(description=label, permissions=[permission], dialog=dialog, **button)
        @wraps(answer)
        def act(
            model_admin: Any, request: HttpRequest, form: ActionDialog[Any], object_id: str
        ) -> HttpResponse:
            proofs.take(request)
            try:
                with transaction.atomic():
                    message = answer(model_admin, request, form.perform(request))
            except Refused as refused:
                form.add_refusal(refused, request)
                context = {"dialog": dialog, "form": form}
                return render(request, "unfold/helpers/dialog.html", context)
            if isinstance(message, HttpResponse):
                return message
            model_admin.message_user(request, message)
            page = reverse(
                admin_urlname(model_admin.opts, SafeString("change")), args=(form.row.pk,)
            )
            return HttpResponse(headers={"HX-Redirect": page})

        return act

    return decorate
