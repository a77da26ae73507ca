"""Changes of keys that an address proposes, and what each would change, before anything does.

Nothing here writes. ``difference`` compares a key with a proposal, and says of each line whether
the key could do more or less after it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.http import QueryDict
from django.utils import timezone

from apikeys import catalogue, validation
from apikeys.credentials import KEY_ID
from apikeys.limits import LIMIT_FIELDS, WINDOWS, parse_limit
from apikeys.models import ApiKey
from apikeys.models.keys import MAX_OWNER_LENGTH
from apikeys.texts import clean_text
from apikeys.validation import MAX_CHANGED, MAX_REASON_LENGTH
from database.client_address import outside
from database.refusals import Refused
from database.timestamps import expiry
from logs.unused_permissions import UNUSED_FOR, unused_permissions

ABSENT = object()
WIDENS, NARROWS = "widens", "narrows"


class Line(NamedTuple):
    """One setting of a key, before and after; ``effect`` is blank where neither can do more."""

    name: str
    before: str
    after: str
    effect: str = ""


@dataclass(frozen=True)
class Proposal:
    """What is to change; the same for each key but for the permissions that it does not use."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    removes_unused: bool = False
    limits: dict[str, int | None] = field(default_factory=dict)
    networks: Sequence[str] = ()
    expires_at: Any = ABSENT
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    owner: str = ""
    revokes: bool = False
    reason: str = ""

    @property
    def changes_settings(self) -> bool:
        return bool(
            self.add
            or self.remove
            or self.removes_unused
            or self.limits
            or self.networks
            or self.expires_at is not ABSENT
            or self.add_tags
            or self.remove_tags
            or self.owner
        )


@dataclass(frozen=True)
class Difference:
    """What a proposal changes of a key. ``settings`` are for the lifecycle to write."""

    key: ApiKey
    lines: list[Line]
    settings: dict[str, Any]

    @property
    def widens(self) -> bool:
        return any(line.effect == WIDENS for line in self.lines)


def parse(asked: QueryDict) -> Proposal:
    """Read a proposal; raise ``Refused`` for what no change of a key can be."""
    known = {"key", "all", "next", "reason", "add_permission", "remove_permission", "remove_unused"}
    known |= {*LIMIT_FIELDS, "add_network", "expires", "revoke"}
    known |= {"add_tag", "remove_tag", "owner"}
    if unknown := set(asked) - known:
        raise Refused(
            f"{min(unknown)!r} is nothing that can be changed here."
            " Go back to the page with the link, and choose there again."
        )
    # A form sends its fields also while they are blank.
    proposal = Proposal(
        add=_permissions(asked.getlist("add_permission")),
        remove=_permissions(asked.getlist("remove_permission")),
        removes_unused=asked.get("remove_unused") == "1",
        limits={name: _limit(name, str(asked[name])) for name in LIMIT_FIELDS if asked.get(name)},
        networks=validation.clean_networks(filter(None, asked.getlist("add_network"))),
        expires_at=_expiry(str(asked["expires"])) if asked.get("expires") else ABSENT,
        add_tags=_tags(asked.getlist("add_tag")),
        remove_tags=_tags(asked.getlist("remove_tag")),
        owner=clean_text(asked.get("owner", ""), field="owner", longest=MAX_OWNER_LENGTH),
        revokes=asked.get("revoke") == "1",
        reason=clean_text(asked.get("reason", ""), field="reason", longest=MAX_REASON_LENGTH),
    )
    if proposal.changes_settings == proposal.revokes:
        raise Refused(
            "The address names no change, or a change beside a revocation."
            " Name settings to change, or the revocation alone."
        )
    return proposal


def find_keys(ids: Iterable[str]) -> list[ApiKey]:
    """Return the keys in the order of their ids' first mention."""
    names = list(dict.fromkeys(ids))
    if not names:
        raise Refused("No key is selected. Go back and select at least one.")
    if len(names) > MAX_CHANGED:
        raise Refused(
            f"{len(names)} keys are selected. Select {MAX_CHANGED} at most, and the rest after."
        )
    found = ApiKey.objects.in_bulk([name for name in names if KEY_ID.fullmatch(name)])
    for name in names:
        if name not in found:
            raise Refused(f"There is no key {name!r}. Find the key in the list of keys.")
    return catalogue.with_labels(found[name] for name in names)


def differences(proposal: Proposal, keys: Sequence[ApiKey]) -> list[Difference]:
    """Return the difference of each key, in order; one without lines changes nothing."""
    unused: dict[str, list[str]] = {}
    if proposal.removes_unused:
        unused = unused_permissions(keys, since=timezone.now() - UNUSED_FOR)
    labels = dict(catalogue.choices())
    return [_difference(proposal, key, unused.get(key.pk, []), labels) for key in keys]


def _difference(
    proposal: Proposal, key: ApiKey, unused: Iterable[str], labels: dict[str, str]
) -> Difference:
    if proposal.revokes:
        revoked = [] if key.is_revoked else [Line("Status", key.status.label, "Inactive", NARROWS)]
        return Difference(key, revoked, {})
    lines: list[Line] = []
    settings: dict[str, Any] = {}
    parts = (
        _permission_change(key, set(proposal.add), {*proposal.remove, *unused}, labels),
        *(_limit_change(key, name, value) for name, value in proposal.limits.items()),
        _network_change(key, proposal.networks),
        _expiry_change(key, proposal.expires_at),
        _tag_change(key, set(proposal.add_tags), set(proposal.remove_tags)),
        _owner_change(key, proposal.owner),
    )
    for changed, new_lines in parts:
        settings |= changed
        lines += new_lines
    return Difference(key, lines, settings)


Change = tuple[dict[str, Any], list[Line]]
UNCHANGED: Change = ({}, [])


def _permission_change(
    key: ApiKey, add: set[str], remove: set[str], labels: dict[str, str]
) -> Change:
    held = set(key.permissions)
    after = (held | add) - remove
    if after == held:
        return UNCHANGED
    lines = [
        *(Line(labels[code], "not granted", "granted", WIDENS) for code in sorted(after - held)),
        *(
            Line(labels.get(code, code), "granted", "removed", NARROWS)
            for code in sorted(held - after)
        ),
    ]
    return {"permissions": sorted(after)}, lines


def _limit_change(key: ApiKey, name: str, value: int | None) -> Change:
    own: int | None = getattr(key, name)
    if value == own:
        return UNCHANGED
    index = LIMIT_FIELDS.index(name)
    before = key.limits[index]
    default = ApiKey(environment=key.environment).limits[index]
    after = default if value is None else value
    effect = "" if after == before else WIDENS if after > before else NARROWS
    line = Line(
        f"Limit per {WINDOWS[index].name}", _shown(own, before), _shown(value, after), effect
    )
    return {name: value}, [line]


def _shown(own: int | None, limit: int) -> str:
    return f"{limit:,} (default)" if own is None else f"{limit:,}"


def _network_change(key: ApiKey, added: Sequence[str]) -> Change:
    networks = (*key.networks, *(network for network in added if network not in key.networks))
    if networks == key.networks:
        return UNCHANGED
    if not key.networks:
        # Nothing is allowed so far because everything is: the first network keeps others out.
        effect = NARROWS
    elif any(outside(added, key.networks)):
        effect = WIDENS
    else:
        effect = ""
    line = Line("Networks", ", ".join(key.networks) or "any", ", ".join(networks), effect)
    return {"networks": list(networks)}, [line]


def _expiry_change(key: ApiKey, expires_at: Any) -> Change:
    before = key.expires_at
    if expires_at is ABSENT or expires_at == before:
        return UNCHANGED
    is_later = before is not None and (expires_at is None or expires_at > before)
    line = Line("Expires", _moment(before), _moment(expires_at), WIDENS if is_later else NARROWS)
    return {"expires_at": expires_at}, [line]


def _tag_change(key: ApiKey, add: set[str], remove: set[str]) -> Change:
    tags = sorted((set(key.tags) | add) - remove)
    if tags == list(key.tags):
        return UNCHANGED
    return {"tags": tags}, [Line("Tags", ", ".join(key.tags) or "none", ", ".join(tags) or "none")]


def _owner_change(key: ApiKey, owner: str) -> Change:
    if owner in ("", key.owner):
        return UNCHANGED
    return {"owner": owner}, [Line("Owner", key.owner or "none", owner)]


def _moment(timestamp: datetime | None) -> str:
    return f"{timestamp.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if timestamp else "never"


def _permissions(codes: Sequence[str]) -> Sequence[str]:
    if unknown := set(codes) - dict(catalogue.choices() if codes else ()).keys():
        raise Refused(catalogue.not_a_permission(min(unknown)))
    return codes


def _tags(texts: Sequence[str]) -> Sequence[str]:
    return validation.clean_tags(word for text in texts for word in text.replace(",", " ").split())


def _limit(name: str, text: str) -> int | None:
    return validation.clean_limit(WINDOWS[LIMIT_FIELDS.index(name)], parse_limit(text))


def _expiry(text: str) -> datetime | None:
    return validation.clean_expiry(expiry(text), timezone.now())
