"""Proving once more who one is: with the password, a code, a passkey, or the provider's word."""

import time
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django import forms
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from audit.actors import Actor, Source
from audit.trail import record
from backoffice import proofs
from people.adapters import Undecipherable
from people.audited import StaffAction
from people.guesses import GuessGuard, caller
from people.second_factor import factors

# Set in a session that has proved a second factor.
FACTOR_PROVED = "factor_proved"


class ProofForm(GuessGuard, forms.Form):
    """One proof of who somebody is: what they fill in is what is verified."""

    password = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
    )
    code = forms.CharField(
        required=False,
        max_length=20,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}
        ),
        label="Code",
        help_text="Of the authenticator app, or a recovery code.",
    )
    credential = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, request: HttpRequest, account: User, *args: Any, must_be_factor: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.account = request, account
        self.how = ""
        types = set(factors.of(account).values_list("type", flat=True))
        self.has_passkey = factors.Type.WEBAUTHN in types
        # The provider's word is as good as a password, and no more.
        self.has_provider = (
            not must_be_factor and SocialAccount.objects.filter(user=account).exists()
        )
        if must_be_factor or not account.has_usable_password():
            del self.fields["password"]
        if not types:
            del self.fields["code"]
        if not self.has_passkey:
            del self.fields["credential"]

    @sensitive_variables("values")
    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        given = [name for name in ("credential", "code", "password") if values.get(name)]
        if not given:
            raise forms.ValidationError("Nothing was filled in. Prove who you are by one of these.")
        if given[0] != "password":
            self.refused = StaffAction.FACTOR_REFUSED
        self._verify(
            self.account.get_username(),
            lambda: self._check(given[0], values[given[0]]),
            # Nobody guesses a passkey, so it is what opens an account whose codes are guessed at.
            is_code=given[0] == "code",
        )
        return values

    @sensitive_variables("value")
    def _check(self, kind: str, value: str) -> None:
        if kind == "credential":
            import_string("people.second_factor.passkeys.prove")(self.account, value)
            self.how = factors.PASSKEY
        elif kind == "code":
            self.how = self._kind_of_code(value)
        elif self.account.check_password(value):
            self.how = "password"
        else:
            raise forms.ValidationError("The password is wrong. Type it again.")

    @sensitive_variables("code")
    def _kind_of_code(self, code: str) -> str:
        try:
            kind = factors.accepts(self.account, code)
        except Undecipherable as error:
            raise forms.ValidationError(str(error)) from None
        if not kind:
            raise forms.ValidationError(
                "The code is wrong or was used before. Wait for the next one, and type that."
            )
        return kind

    @property
    def is_factor(self) -> bool:
        """Whether the proof was a second factor."""
        return self.how in {factors.APP, factors.CODES, factors.PASSKEY}

    @property
    def passkey_options(self) -> dict[str, Any] | None:
        """What the browser is given to use a passkey, anew with each page."""
        if not self.has_passkey:
            return None
        options: dict[str, Any] = import_string("people.second_factor.passkeys.options_to_prove")(
            self.account
        )
        return options


def confirm(request: HttpRequest, account: User, how: str, *, is_factor: bool) -> None:
    """Remember in the session that its holder has proved who they are."""
    request.session[proofs.PROVED_AT] = time.time()
    if is_factor:
        request.session[FACTOR_PROVED] = True
    with transaction.atomic():
        actor = Actor(Source.ADMIN, account.get_username(), account, caller(request))
        record(account, StaffAction.CONFIRMED, actor, reason=f"With the {how}.")


def must_be_factor(request: HttpRequest, account: User) -> bool:
    """Whether a password is no proof: this session has never proved the second factor."""
    return not request.session.get(FACTOR_PROVED) and factors.of(account).exists()


def take(request: HttpRequest) -> None:
    """Verify the proof that comes with a form of the admin; a wrong one is told with the fields."""
    form = _inline_form(request, request.POST)
    if form.is_valid():
        confirm(request, form.account, form.how, is_factor=form.is_factor)
    else:
        request.proof_errors = form.non_field_errors()  # type: ignore[attr-defined]


def fields(request: HttpRequest, form_id: str) -> SafeString:
    """Render the fields for a proof in a form of the admin, and what was wrong with the last."""
    form = _inline_form(request)
    for field in form.visible_fields():
        field.field.widget.attrs |= {"form": form_id} if form_id else {}
    context = {"form": form, "errors": getattr(request, "proof_errors", ())}
    return render_to_string("people/inline_proof.html", context, request)


def _inline_form(request: HttpRequest, data: Any = None) -> ProofForm:
    account = User.objects.get(pk=request.user.pk or 0)
    return ProofForm(
        request,
        account,
        data,
        prefix=proofs.PREFIX,
        must_be_factor=must_be_factor(request, account),
    )
