"""What the customers endpoints take and answer."""

from rest_framework import serializers

from apikeys.guard.serializers import ObjectField, PageQuery, StrictSerializer, TextField
from customers.models import Customer, CustomerStatus


class CustomerSerializer(serializers.ModelSerializer[Customer]):
    """A customer as it is answered."""

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

    name = TextField(max_length=200)
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
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)

    LOOKUPS = {"created_after": "created_at__gt", "created_before": "created_at__lt"}
