"""Counts wrong passwords and codes, and refuses to verify more once there were too many.

Failures count by the network that they come from, and by user name and network together: who
guesses at a name closes it for himself and for nobody else. A name that is guessed at from many
networks leaves each of them one failure an hour. A network is an IPv4 address or an IPv6 /64.
Passwords, codes of a second factor and sign-ins through the identity provider count together, and
so do those of who is signed in: a stolen session must not be worth unlimited guesses. Wrong codes
have budgets besides, of the account: whoever guesses at them has the password already.
"""

from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django_ratelimit.core import get_usage

from audit.actors import Actor, Source
from audit.kinds import Subject
from audit.trail import record
from database.client_address import budget_subject, client_address
from people.audited import STAFF, StaffAction

TOO_MANY = "too_many"
# How many failures of an account are recorded, and of all names that nobody has together.
FAILURES = "20/h"


class Budget(NamedTuple):
    """How often something may happen to ``subject``; ``rate`` as django-ratelimit writes it."""

    group: str
    rate: str
    subject: str


class Budgets(NamedTuple):
    """The budgets that one attempt counts against."""

    # Right ones too: to verify one takes as much time and memory as a wrong one.
    tries: Budget
    network: Budget
    name: Budget
    # Refuses nothing by itself: once it is spent, ``strict`` applies as well.
    name_everywhere: Budget
    strict: Budget


class GuessGuard:
    """Of a form: refuses to verify what it holds once its network failed too often."""

    request: HttpRequest
    # What the trail calls a wrong one.
    refused = StaffAction.REFUSED
    retry_after = 0

    def _verify(self, name: str, verify: Callable[[], Any], *, is_code: bool = False) -> Any:
        """Verify a password or a code; put a failure on record."""
        try:
            return self._verify_within_budgets(name, verify, is_code=is_code)
        except forms.ValidationError as error:
            account = User.objects.filter(username=name).first()
            self._record_failure(account, name, is_locked_out=error.code == TOO_MANY)
            raise

    def _record_failure(
        self, account: User | None, name: str, *, is_locked_out: bool = False, reason: str = ""
    ) -> None:
        """Record a failure, as many an hour as are of use; a stranger writes no more than those.

        What was typed for a name may be a password, so a name that nobody has is left out.
        """
        network = budget_subject(caller(self.request))
        if is_locked_out:
            lockout = Budget("trail-lockout", "1/5m", f"{network} {name.casefold()}")
            if self._count(lockout)["should_limit"]:
                return
        usage = self._count(Budget("trail-failures", FAILURES, account.username if account else ""))
        if usage["count"] > usage["limit"] + 1:
            return
        action = StaffAction.LOCKED_OUT if is_locked_out else self.refused
        if usage["should_limit"]:
            action = StaffAction.UNRECORDED
        stranger = Actor(Source.ADMIN, "not signed in", address=caller(self.request))
        with transaction.atomic():
            unknown = Subject(STAFF.model, "", "unknown name")
            record(account or unknown, action, stranger, reason=reason)

    def _verify_within_budgets(
        self, name: str, verify: Callable[[], Any], *, is_code: bool = False
    ) -> Any:
        """Check the budgets, then what is to be verified; a wrong one uses up some of each."""
        budgets = self._budgets(name.casefold())
        self._refuse_if(self._count(budgets.tries)["should_limit"], budgets.tries)
        of_codes = self._budgets_of_codes(name.casefold()) if is_code else ()
        binding = [budgets.network, budgets.name, *of_codes]
        if self._is_spent(budgets.name_everywhere):
            binding.append(budgets.strict)
        for budget in binding:
            self._refuse_if(self._is_spent(budget), budget)
        try:
            return verify()
        except forms.ValidationError:
            # Each by one atomic increment, so that guesses sent at once all count.
            over = {
                budget: self._count(budget)["should_limit"] for budget in (*budgets[1:], *of_codes)
            }
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

    def _budgets_of_codes(self, name: str) -> tuple[Budget, ...]:
        network = budget_subject(caller(self.request))
        return (
            Budget("codes-name", "10/h", f"{network} {name}"),
            Budget("codes-name-everywhere", "30/h", name),
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
            "There were too many wrong passwords or codes."
            f" Wait {ceil(self.retry_after / 60)} minutes and try again.",
            code=TOO_MANY,
        )


def caller(request: HttpRequest) -> str:
    return client_address(request.META, settings.TRUSTED_PROXIES)
