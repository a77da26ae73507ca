"""What the endpoints of keys take and answer."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.db.models import Q
from django.utils import timezone
from rest_framework import serializers

from apikeys import validation
from apikeys.audited import Action
from apikeys.credentials import KEY_ID
from apikeys.guard.problems import FieldErrors
from apikeys.guard.serializers import (
    BoundedListField,
    CursorField,
    PageQuery,
    RawField,
    StrictSerializer,
    TextField,
    TimestampField,
    WholeNumberField,
)
from apikeys.lifecycle import MAX_OVERLAP
from apikeys.limits import MAX_LIMIT, WINDOWS
from apikeys.models import CustomerScope, Status
from apikeys.models.keys import MAX_NOTE_LENGTH, MAX_OWNER_LENGTH, ApiKeyQuerySet
from apikeys.permissions import CODE
from apikeys.serializers import ManagedKeySerializer
from apikeys.validation import PLAIN_FIELDS, TAG, KeyFields
from audit.actors import Source
from audit.models import Event
from database import timestamps
from database.refusals import Refused
from handover import lifecycle as hand_overs
from handover.lifecycle import Terms

MAX_LISTED = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class IssuedKeySerializer(ManagedKeySerializer):
    """A key with a new secret, whose credential is in this answer alone."""

    example: ClassVar = ManagedKeySerializer.example | {
        "key": "lk_prod_4kQ9zTfB2mXe_0123456789ABCDEFGHIJKLMNOPQRSTUV000000"
    }

    key = serializers.CharField(
        allow_null=True,
        help_text="The whole credential, once: null when the answer is given again, and of a key"
        " that is handed over.",
    )
    hand_over_url = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="Of a key that is handed over: the link by which its recipient has the credential"
        " made. It is given once, as `key`.",
    )


class KeyEventSerializer(serializers.ModelSerializer[Event]):
    """What was done to a key."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c46",
        "at": "2026-11-24T08:00:00Z",
        "key": "4kQ9zTfB2mXe",
        "action": "updated",
        "by": "key 7Zt0aWq1LmNb",
        "source": "api",
        "address": "203.0.113.7",
        "reason": "",
        "changes": {"limit per minute": [600, 60]},
    }

    at = serializers.DateTimeField(source="created_at")
    key = serializers.CharField(source="object_id")
    action = serializers.ChoiceField(Action.choices)
    by = serializers.CharField(source="actor_name")
    source = serializers.ChoiceField(Source.choices)  # type: ignore[assignment]
    changes = serializers.DictField(help_text="By setting, its values before and after.")

    class Meta:
        model = Event
        fields = ["id", "at", "key", "action", "by", "source", "address", "reason", "changes"]


class LimitsInput(StrictSerializer):
    """Limits of the key's own; null for the environment's default."""

    def get_fields(self) -> dict[str, Any]:
        return {
            window.name: WholeNumberField(
                min_value=0, max_value=MAX_LIMIT, required=False, allow_null=True
            )
            for window in WINDOWS
        }


class KeyInput(StrictSerializer):
    """What is chosen for a key; a PATCH sends what is to change."""

    example: ClassVar = {
        "name": "Build of the website",
        "permissions": ["customers:read"],
        "limits": {"minute": 60},
        "networks": ["203.0.113.0/24"],
        "expires_at": "2999-01-31T00:00:00Z",
    }

    name = TextField(
        allow_blank=True,
        help_text=f"One line of 1 to {validation.MAX_NAME_LENGTH} characters.",
    )
    permissions = BoundedListField(
        child=serializers.RegexField(f"^{CODE.pattern}$"), required=False, max_length=MAX_LISTED
    )
    customer_scope = serializers.ChoiceField(
        CustomerScope.choices,
        required=False,
        help_text="Left out: `selected` if `customers` is there, else `all`.",
    )
    customers = BoundedListField(
        child=serializers.UUIDField(), required=False, max_length=MAX_LISTED
    )
    limits = LimitsInput(required=False, help_text="A window left out stays as it is.")
    networks = BoundedListField(
        child=TextField(),
        required=False,
        max_length=MAX_LISTED,
        help_text="As 203.0.113.0/24; none for any.",
    )
    expires_at = TimestampField(required=False, allow_null=True, help_text="Null: never.")
    tags = BoundedListField(
        child=TextField(),
        required=False,
        max_length=MAX_LISTED,
        help_text=f"As billing or team:web; {validation.MAX_TAGS} at most.",
    )
    owner = TextField(
        required=False,
        allow_blank=True,
        help_text=f"Who answers for the key; {MAX_OWNER_LENGTH} characters at most.",
    )
    note = TextField(
        required=False,
        allow_blank=True,
        help_text=f"One line of {MAX_NOTE_LENGTH} characters at most.",
    )


class HandOverInput(StrictSerializer):
    """Whether the credential is handed over by a link, in the place of being answered."""

    hand_over = WholeNumberField(
        min_value=hand_overs.MIN_HOURS,
        max_value=hand_overs.MAX_HOURS,
        required=False,
        allow_null=True,
        help_text="Hours that a hand-over link is good for: the answer has it, and no credential.",
    )
    passphrase = RawField(
        required=False,
        min_length=hand_overs.MIN_PASSPHRASE_LENGTH,
        max_length=hand_overs.MAX_PASSPHRASE_LENGTH,
        help_text="What the link asks for; tell it to the recipient in another way.",
    )


class NewKeyInput(HandOverInput, KeyInput):
    """What is chosen for a new key, and how its credential is given."""


class RegenerateInput(HandOverInput):
    """How long the old secret goes on, and how the new credential is given."""

    example: ClassVar = {"overlap": 3600}

    overlap = WholeNumberField(
        min_value=0,
        max_value=int(MAX_OVERLAP.total_seconds()),
        default=0,
        help_text="Seconds until the old secret stops. Left out, it stops at once; of a hand-over,"
        " once the recipient confirms.",
    )


class RevokeInput(StrictSerializer):
    """Why a key is revoked."""

    example: ClassVar = {"reason": "The build server was replaced."}

    reason = TextField(
        required=False,
        allow_blank=True,
        default="",
        help_text=f"For the audit trail; {validation.MAX_REASON_LENGTH} characters at most.",
    )


class DurationField(TextField):
    """A duration as commands take it, read as the time so long ago."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            return timezone.now() - timestamps.duration(text)
        except Refused as error:
            raise serializers.ValidationError(str(error)) from None
        except OverflowError:
            raise serializers.ValidationError(
                f"{text!r} is too long ago. Choose a shorter duration."
            ) from None


class KeyCursorField(CursorField):
    """The cursor of a page of keys, whose ids do not sort by time: the last one's time and id."""

    def to_internal_value(self, data: Any) -> Any:
        text = serializers.CharField.to_internal_value(self, data)
        try:
            padded = text + "=" * (-len(text) % 4)
            plain = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
            microseconds, _, key_id = plain.partition(" ")
            created_at = EPOCH + int(microseconds) * MICROSECOND
        except (ValueError, OverflowError, binascii.Error):
            raise self.not_a_cursor() from None
        if not KEY_ID.fullmatch(key_id):
            raise self.not_a_cursor()
        return created_at, key_id


def _after(keys: ApiKeyQuerySet, place: tuple[datetime, str]) -> ApiKeyQuerySet:
    created_at, key_id = place
    # The first condition is a range of the index.
    return keys.filter(created_at__lte=created_at).filter(
        Q(created_at__lt=created_at) | Q(pk__gt=key_id)
    )


class KeyQuery(PageQuery):
    """What a list of keys can be narrowed by."""

    cursor = KeyCursorField(required=False, help_text="`next_cursor` of the page before this one.")
    name = TextField(required=False, help_text="The whole name.")
    status = serializers.ChoiceField(Status.choices, required=False)
    permission = serializers.RegexField(
        f"^{CODE.pattern}$", required=False, help_text="Keys that have it."
    )
    customer = serializers.UUIDField(
        required=False, help_text="Keys that reach it, by name or because they reach all."
    )
    tag = serializers.RegexField(f"^{TAG.pattern}$", required=False, help_text="Keys that have it.")
    owner = TextField(required=False, help_text="The whole owner, as it is written.")
    idle = DurationField(required=False, help_text="Keys not used for so long, as `90d` or `12h`.")

    FILTERS: ClassVar[Mapping[str, str | Callable[[Any, Any], Any]]] = {
        "cursor": _after,
        "status": ApiKeyQuerySet.with_status,
        "permission": ApiKeyQuerySet.granted,
        "customer": ApiKeyQuerySet.reaching,
        "tag": ApiKeyQuerySet.tagged,
        "owner": ApiKeyQuerySet.owned_by,
        "idle": ApiKeyQuerySet.idle_since,
    }
    ORDER = ("-created_at", "pk")

    @staticmethod
    def cursor_after(last: Mapping[str, Any]) -> str:
        microseconds = (last["created_at"] - EPOCH) // MICROSECOND
        plain = f"{microseconds} {last['id']}".encode()
        return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def terms_of(body: Mapping[str, Any]) -> Terms | None:
    """Return the terms of the hand-over that a validated body asks for; None if it asks for none.

    Hashes the passphrase, so it is called before rows are locked.
    """
    hours, passphrase = body.get("hand_over"), body.get("passphrase", "")
    if hours is not None:
        return hand_overs.terms(hours, passphrase)
    if passphrase:
        raise FieldErrors(
            [("passphrase", "A passphrase is for a hand-over link alone. Send hand_over, too.")]
        )
    return None


def settings_of(body: Mapping[str, Any]) -> KeyFields:
    """Return the settings that a validated body chooses, in the form they are stored in.

    Raises what is wrong with the scope and the networks, which is judged without a query.
    """
    settings: dict[str, Any] = {
        name: body[name] for name in (*PLAIN_FIELDS, "expires_at") if name in body
    }
    if "networks" in body:
        settings["networks"] = validation.clean_networks(body["networks"])
    limits = body.get("limits", {})
    settings |= {w.field: limits[w.name] for w in WINDOWS if w.name in limits}
    if "customers" in body or "customer_scope" in body:
        settings["customers"] = _scope(body)
    return settings  # type: ignore[return-value]


def _scope(body: Mapping[str, Any]) -> list[Any] | None:
    customers: list[Any] | None = body.get("customers")
    if body.get("customer_scope", CustomerScope.SELECTED) == CustomerScope.SELECTED:
        if customers is None:
            raise FieldErrors(
                [("customers", "The selected customers are missing. Name them by their ids.")]
            )
        return customers
    if customers:
        raise FieldErrors(
            [("customers", "The key is to reach all customers. Leave them out, or select them.")]
        )
    return None
