"""The forms of the admin that verify a password, which count wrong ones.

Failures count by the network that they come from, and by user name and network together: who
guesses at a name closes it for himself and for nobody else. A name that is guessed at from many
networks leaves each of them one failure an hour. A network is an IPv4 address or an IPv6 /64.
The form that changes a password asks for the old one and counts with the login: a stolen session
must not be worth unlimited guesses.
"""

from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from apikeys.guard.client_address import budget_subject, client_address

TOO_MANY = "too_many"


class Budget(NamedTuple):
    """How often something may happen to ``subject``; ``rate`` as django-ratelimit writes it."""

    group: str
    rate: str
    subject: str


class Budgets(NamedTuple):
    """The budgets that one password attempt counts against."""

    # Right passwords too: to verify one takes as much time and memory as a wrong one.
    tries: Budget
    network: Budget
    name: Budget
    # Refuses nothing by itself: once it is spent, ``strict`` applies as well.
    name_everywhere: Budget
    strict: Budget


class PasswordGuard:
    """Of a form: refuses to verify a password once its network failed too often."""

    request: HttpRequest
    retry_after = 0

    def _verify(self, name: str, verify: Callable[[], Any]) -> Any:
        """Check the budgets, then the password; a wrong one uses up some of each."""
        budgets = self._budgets(name.casefold())
        self._refuse_if(self._count(budgets.tries)["should_limit"], budgets.tries)
        binding = [budgets.network, budgets.name]
        if self._is_spent(budgets.name_everywhere):
            binding.append(budgets.strict)
        for budget in binding:
            self._refuse_if(self._is_spent(budget), budget)
        try:
            return verify()
        except forms.ValidationError:
            # Each by one atomic increment, so that guesses sent at once all count.
            over = {budget: self._count(budget)["should_limit"] for budget in budgets[1:]}
            for budget in binding:
                self._refuse_if(over[budget], budget)
            raise

    def _budgets(self, name: str) -> Budgets:
        network = budget_subject(caller(self.request))
        return Budgets(
            tries=Budget("login-tries", "60/5m", network),
            network=Budget("login-network", "20/5m", network),
            name=Budget("login-name", "10/5m", f"{network} {name}"),
            name_everywhere=Budget("login-name-everywhere", "100/h", name),
            strict=Budget("login-strict", "1/h", f"{network} {name}"),
        )

    def _count(self, budget: Budget) -> dict[str, Any]:
        return self._usage(budget, counts=True)

    def _is_spent(self, budget: Budget) -> bool:
        usage = self._usage(budget, counts=False)
        return bool(usage["count"] >= usage["limit"])

    def _usage(self, budget: Budget, *, counts: bool) -> dict[str, Any]:
        usage: dict[str, Any] = get_usage(
            self.request,
            group=budget.group,
            key=lambda group, request: budget.subject,
            rate=budget.rate,
            increment=counts,
        )
        return usage

    def _refuse_if(self, is_over: bool, budget: Budget) -> None:
        if not is_over:
            return
        self.retry_after = max(1, self._usage(budget, counts=False)["time_left"])
        raise forms.ValidationError(
            "There were too many wrong passwords from your network."
            f" Wait {ceil(self.retry_after / 60)} minutes and try again.",
            code=TOO_MANY,
        )


class GuardedAuthenticationForm(PasswordGuard, AuthenticationForm):
    """The login."""

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", ""))
        cleaned: dict[str, Any] = self._verify(name, super().clean)
        return cleaned


class GuardedPasswordChangeForm(PasswordGuard, AdminOwnPasswordChangeForm):
    """The change of one's own password."""

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self.request = request

    def clean_old_password(self) -> str:
        old: str = self._verify(self.user.get_username(), super().clean_old_password)
        return old


def caller(request: HttpRequest) -> str:
    return client_address(request.META, settings.TRUSTED_PROXIES)
