"""What would let a refused request pass: each remedy opens its change prepared, and makes none.

A remedy needs a right. Who lacks it is told which roles have it.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.auth.models import Group, User
from django.db.models import Q
from django.urls import reverse

from apikeys.limits import WINDOWS, LimitWindow
from apikeys.models import ApiKey
from database.client_address import UNKNOWN, parse_address
from explain.explanation import Explanation
from explain.replay import Check, Verdict
from gateway.models import Service
from logs import usage_peaks

CHANGE_KEY, ACTIVATE_KEY = "apikeys.change_apikey", "apikeys.activate_apikey"
CHANGE_SERVICE, ADD_SERVICE = "gateway.change_service", "gateway.add_service"
EXTENSION = "90d"
# A limit is proposed with a quarter to spare.
SPARE = 1.25


class Remedy(NamedTuple):
    """A change that would let the request pass, or what the caller has to do where none would.

    ``right`` is what its page needs; ``href`` is blank where there is nothing to open.
    """

    label: str
    detail: str = ""
    href: str = ""
    right: str = ""
    is_dialog: bool = False


class Offer(NamedTuple):
    """A remedy for a person: it can be opened, or ``ask`` says who may."""

    remedy: Remedy
    is_allowed: bool
    ask: str = ""


def offers_for(user: Any, explanation: Explanation) -> list[Offer]:
    return [_offer(user, remedy) for remedy in remedies_of(explanation)]


def _offer(user: Any, remedy: Remedy) -> Offer:
    if not remedy.right or user.has_perm(remedy.right):
        return Offer(remedy, is_allowed=True)
    return Offer(remedy, is_allowed=False, ask=_whom_to_ask(remedy.right))


def _whom_to_ask(right: str) -> str:
    """Name the roles that have a right, and a few who have it."""
    app, _, codename = right.partition(".")
    roles = Group.objects.filter(
        permissions__codename=codename, permissions__content_type__app_label=app
    )
    names = list(roles.order_by("name").values_list("name", flat=True))
    people = User.objects.filter(
        Q(groups__in=roles) | Q(is_superuser=True), is_active=True, is_staff=True
    )
    first = list(people.distinct().order_by("username").values_list("username", flat=True)[:3])
    who = f", such as {' or '.join(first)}" if first else ""
    return f"Ask somebody with the role {' or '.join(names) or 'of a superuser'}{who}."


def remedies_of(explanation: Explanation) -> list[Remedy]:
    """Return the remedies of what refused the request then, if it still would, and now."""
    return list(dict.fromkeys(_remedies(explanation)))


def _remedies(explanation: Explanation) -> Iterator[Remedy]:
    then, now, key = explanation.then, explanation.now, explanation.key
    if key is not None:
        # What refused it then may be left, behind what would refuse it first now.
        for verdict in (then, now):
            yield from _key_remedies(explanation, key, verdict)
    yield from _service_remedies(explanation, now.code)


def _key_remedies(explanation: Explanation, key: ApiKey, verdict: Verdict) -> Iterator[Remedy]:
    match verdict.code:
        case "permission_denied" if verdict.check == Check.CUSTOMERS and key.is_scoped:
            yield Remedy(
                "Let the key reach all customers",
                "This takes a key for all customers, and the key reaches selected ones.",
                _page(key),
                CHANGE_KEY,
            )
        case "permission_denied" if verdict.required_permission:
            if not key.may(verdict.required_permission):
                yield _grant(explanation, key, verdict.required_permission)
        case "rate_limited":
            # Also if the counters have room again: they will be full again.
            yield from _raise(explanation, key)
        case "environment_mismatch":
            yield _right_address(explanation, key)
        case "address_not_allowed" if not key.allows_address(explanation.log.address or UNKNOWN):
            yield _network(explanation, key)
        case "key_revoked" if key.is_revoked:
            yield Remedy(
                "Activate the key",
                "It is accepted again from the next request on.",
                reverse("admin:apikeys_apikey_activate", args=(key.pk,)),
                ACTIVATE_KEY,
                is_dialog=True,
            )
        case "key_expired" if key.is_expired():
            yield _propose(
                explanation, key, "Extend the key by 90 days", "From today on.", expires=EXTENSION
            )
        case "key_invalid":
            yield Remedy(
                "Have the caller use the key's current secret",
                "Regenerate the key if nobody has it any more.",
                _page(key),
                "apikeys.regenerate_apikey",
            )


def _grant(explanation: Explanation, key: ApiKey, required: str) -> Remedy:
    return _propose(
        explanation,
        key,
        f"Grant {required} to this key",
        "The permission that the request needs.",
        add_permission=required,
    )


def _raise(explanation: Explanation, key: ApiKey) -> Iterator[Remedy]:
    cost = explanation.cost
    is_changed = any(change.concerns for change in explanation.changes)
    known = usage_peaks.peaks(key)
    full = explanation.recorded.full_windows
    for window, limit in zip(WINDOWS, key.limits, strict=True):
        most = known.get(window.name, 0)
        is_short = limit < max(most, cost)
        if is_short if is_changed or not full else window.name in full:
            yield _raise_window(explanation, key, window, limit, most, cost)


def _raise_window(
    explanation: Explanation, key: ApiKey, window: LimitWindow, limit: int, most: int, cost: int
) -> Remedy:
    proposed = proposed_limit(most, limit, cost)
    return _propose(
        explanation,
        key,
        f"Raise {limit:,} per {window.name} (peak {most:,})",
        f"To {proposed:,}, a quarter above the peak.",
        **{window.field: str(proposed)},
    )


def proposed_limit(peak: int, current: int, cost: int = 1) -> int:
    """Return a round limit with room for the peak, above the current one and the cost."""
    wanted = int(max(peak, current + 1, cost) * SPARE + 0.999)
    step: int = max(1, 10 ** (len(str(wanted)) - 1) // 2)
    return -(-wanted // step) * step


def _right_address(explanation: Explanation, key: ApiKey) -> Remedy:
    log = explanation.log
    if explanation.recorded.is_decision and log.caller_id is None:
        address = f"/auth/{key.environment}/{log.service}"
        return Remedy(f"Have the proxy ask {address}", f"The key is for {key.environment}.")
    path = log.path
    if explanation.recorded.is_decision:
        path = f"/api/{log.environment}/v1/keys/verify"
    address = path.replace(f"/api/{log.environment}/", f"/api/{key.environment}/", 1)
    return Remedy(
        f"Send it to {address}",
        f"The key is for {key.environment}. Or use a key for {log.environment}.",
    )


def _network(explanation: Explanation, key: ApiKey) -> Remedy:
    address = parse_address(explanation.log.address)
    if address is None or str(address) == UNKNOWN:
        return Remedy(
            "Have the client's address told",
            "No address is on record, and a key with networks takes one. A verified key needs"
            " `address`; behind a proxy name it in TRUSTED_PROXIES.",
        )
    network = f"{address}/{ip_address(str(address)).max_prefixlen}"
    return _propose(
        explanation,
        key,
        f"Allow {network} for this key",
        "The network of that one address.",
        add_network=network,
    )


def _service_remedies(explanation: Explanation, code: str) -> Iterator[Remedy]:
    name = explanation.log.service
    if not name or code not in {
        "no_rule", "service_disabled", "unknown_service", "permission_denied", "rate_limited"
    }:  # fmt: skip
        return
    service = Service.objects.filter(name=name).first()
    if service is None:
        yield Remedy(
            f"Create the service {name}",
            "Or correct its name in the proxy's configuration.",
            reverse("admin:gateway_service_add"),
            ADD_SERVICE,
        )
        return
    labels = {
        "no_rule": ("Add a rule to", "No rule matches the method and the path."),
        "service_disabled": ("Enable", "It is disabled, so nothing passes."),
        "permission_denied": ("Change the rules of", "They say which permission is needed."),
        "rate_limited": ("Change the rules of", "They say what the request costs."),
    }
    if code not in labels or (code == "rate_limited" and explanation.cost == 1):
        return
    label, detail = labels[code]
    address = reverse("admin:gateway_service_change", args=(service.pk,))
    yield Remedy(f"{label} {name}", detail, address, CHANGE_SERVICE)


def _propose(
    explanation: Explanation, key: ApiKey, label: str, detail: str, **change: str
) -> Remedy:
    log = explanation.log
    asked = {
        "key": key.pk,
        **change,
        "reason": f"Request {log.pk} was refused",
        "next": reverse("admin:logs_requestlog_change", args=(log.pk,)),
    }
    address = reverse("admin:apikeys_apikey_propose")
    return Remedy(label, detail, f"{address}?{urlencode(asked)}", CHANGE_KEY)


def _page(key: ApiKey) -> str:
    return reverse("admin:apikeys_apikey_change", args=(key.pk,))
