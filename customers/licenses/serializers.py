"""What the licenses endpoints take and answer."""

from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.guard.serializers import (
    LineField,
    ObjectField,
    PageQuery,
    StrictSerializer,
    TextField,
    TimestampField,
    WholeNumberField,
)
from customers.licenses import license_keys
from customers.licenses.lifecycle import MAX_SEATS
from customers.models import Activation, License, LicenseQuerySet, LicenseStatus

CODES = (
    "VALID",
    "NOT_FOUND",
    "EXPIRED",
    "SUSPENDED",
    "REVOKED",
    "CUSTOMER_SUSPENDED",
    "TOO_MANY_MACHINES",
    "FINGERPRINT_NOT_ACTIVATED",
)


class LicenseSerializer(serializers.ModelSerializer[License]):
    """A license as it is answered; its key is masked unless the context says otherwise."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c42",
        "environment": "production",
        "customer": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41",
        "license_key": "7K3QX-*****-*****-*****-90CDA",
        "product": "Platform Pro",
        "status": "active",
        "seats": 5,
        "expires_at": None,
        "metadata": {},
        "created_at": "2026-11-24T08:00:00Z",
        "updated_at": "2026-11-24T08:00:00Z",
    }

    customer = serializers.UUIDField(source="customer_id")
    license_key = serializers.SerializerMethodField(
        help_text="Whole for keys with `licenses:manage` on the license itself, else masked."
    )
    status = serializers.SerializerMethodField()
    metadata = ObjectField()

    class Meta:
        model = License
        fields = [
            "id", "environment", "customer", "license_key", "product", "status", "seats",
            "expires_at", "metadata", "created_at", "updated_at",
        ]  # fmt: skip

    def get_license_key(self, license_: License) -> str:
        return license_keys.masked(license_.license_key)

    @extend_schema_field(serializers.ChoiceField(LicenseStatus.choices))
    def get_status(self, license_: License) -> str:
        return license_.effective_status.value


class WholeLicenseSerializer(LicenseSerializer):
    """The same for a key with `licenses:manage`."""

    def get_license_key(self, license_: License) -> str:
        return license_.license_key


def future(timestamp: datetime) -> None:
    if timestamp <= timezone.now():
        raise serializers.ValidationError("This has passed. Choose a time to come.")


class LicenseChanges(StrictSerializer):
    """What may be changed of a license."""

    example: ClassVar[dict[str, Any]] = {"seats": 10}

    product = LineField(max_length=100, required=False)
    seats = WholeNumberField(min_value=1, max_value=MAX_SEATS, required=False)
    expires_at = TimestampField(
        required=False, allow_null=True, validators=[future], help_text="Null: never."
    )
    metadata = ObjectField(required=False)


class LicenseInput(LicenseChanges):
    """A license as it is issued."""

    example: ClassVar = {
        "customer": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41",
        "product": "Platform Pro",
        "seats": 5,
    }

    customer = serializers.UUIDField()
    product = LineField(max_length=100)


class RenewInput(StrictSerializer):
    """Until when a license is renewed."""

    example: ClassVar = {"expires_at": "2999-01-31T00:00:00Z"}

    expires_at = TimestampField(
        allow_null=True, help_text="Later than the expiry it has. Null: it never expires."
    )


class LicenseQuery(PageQuery):
    """What a list of licenses can be narrowed by."""

    customer = serializers.UUIDField(required=False)
    product = TextField(required=False)
    status = serializers.ChoiceField(LicenseStatus.choices, required=False)
    license_key = TextField(required=False, help_text="The whole key.")
    expires_before = TimestampField(required=False)

    FILTERS = {
        "customer": "customer_id",
        "status": LicenseQuerySet.with_status,
        "license_key": lambda rows, text: rows.filter(license_key=license_keys.parse(text) or ""),
        "expires_before": "expires_at__lt",
    }


class ValidateInput(StrictSerializer):
    """A license key to be judged, and the machine it is to run on."""

    example: ClassVar = {
        "license_key": "7K3QX-A2B3C-D4E5F-G6H7J-90CDA",
        "fingerprint": "build-server-1",
    }

    license_key = TextField(max_length=100)
    fingerprint = TextField(max_length=200, required=False, allow_null=True)


class ValidatedSerializer(serializers.Serializer[Any]):
    """Whether a license key is good, and if not, why."""

    example: ClassVar = {"valid": True, "code": "VALID", "license": LicenseSerializer.example}

    valid = serializers.BooleanField()
    code = serializers.ChoiceField(CODES)
    license = LicenseSerializer(allow_null=True)


class ActivationSerializer(serializers.ModelSerializer[Activation]):
    """A machine that a license runs on."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c43",
        "license": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c42",
        "fingerprint": "build-server-1",
        "created_at": "2026-11-24T08:00:00Z",
    }

    license = serializers.UUIDField(source="license_id")

    class Meta:
        model = Activation
        fields = ["id", "license", "fingerprint", "created_at"]


class ActivationInput(StrictSerializer):
    """A machine that asks for a seat."""

    example: ClassVar = {"fingerprint": "build-server-1"}

    fingerprint = TextField(max_length=200, help_text="The machine's own name for itself.")
