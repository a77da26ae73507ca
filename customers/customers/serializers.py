"""What the customers endpoints take and answer."""

from typing import ClassVar

from rest_framework import serializers

from apikeys.guard.serializers import (
    LineField,
    ObjectField,
    PageQuery,
    StrictSerializer,
    TextField,
    TimestampField,
)
from customers.models import Customer, CustomerStatus


class CustomerSerializer(serializers.ModelSerializer[Customer]):
    """A customer as it is answered."""

    example: ClassVar = {
        "id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c41",
        "environment": "production",
        "name": "Northwind Traders",
        "email": "ops@northwind.example",
        "external_reference": "CRM-1001",
        "status": "active",
        "metadata": {"plan": "enterprise"},
        "created_at": "2026-11-24T08:00:00Z",
        "updated_at": "2026-11-24T08:00:00Z",
    }

    metadata = ObjectField()

    class Meta:
        model = Customer
        fields = [
            "id",
            "environment",
            "name",
            "email",
            "external_reference",
            "status",
            "metadata",
            "created_at",
            "updated_at",
        ]


class CustomerInput(StrictSerializer):
    """A customer as it is sent; a PATCH sends what is to change."""

    example: ClassVar = {
        "name": "Northwind Traders",
        "email": "ops@northwind.example",
        "external_reference": "CRM-1001",
        "metadata": {"plan": "enterprise"},
    }

    name = LineField(max_length=200)
    email = serializers.EmailField(required=False, allow_blank=True, max_length=254)
    external_reference = TextField(
        required=False, allow_null=True, max_length=100, help_text="Your own number for it."
    )
    status = serializers.ChoiceField(CustomerStatus.choices, required=False)
    metadata = ObjectField(required=False)


class CustomerQuery(PageQuery):
    """What a list of customers can be narrowed by."""

    name = TextField(required=False, help_text="The whole name.")
    email = TextField(required=False)
    external_reference = TextField(required=False)
    status = serializers.ChoiceField(CustomerStatus.choices, required=False)
    created_after = TimestampField(required=False)
    created_before = TimestampField(required=False)

    FILTERS = {"created_after": "created_at__gt", "created_before": "created_at__lt"}
