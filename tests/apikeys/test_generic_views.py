"""REST framework's generic views behind the guard: what they answer is what they answer alone."""

import copy
from typing import Any

import pytest
from django.urls import path
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.test import APIRequestFactory

from apikeys.guard.answers import Shown, can_share
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from config.urls import urlpatterns as product_urlpatterns
from customers.customers.serializers import CustomerSerializer
from customers.licenses.serializers import LicenseSerializer
from customers.models import Customer
from tests.support.api_client import Caller
from tests.support.factories import issue, make_customer

pytestmark = pytest.mark.django_db

FIELDS = ["id", "name", "created_at", "metadata"]


class DeclaringSerializer(serializers.ModelSerializer[Customer]):
    """Declares fields, and nothing else."""

    tags = serializers.ListField(child=serializers.CharField(), source="metadata.tags", default=[])

    class Meta:
        model = Customer
        fields = [*FIELDS, "tags"]


class ChoosingSerializer(DeclaringSerializer):
    """Has the fields that the caller asks for."""

    def get_fields(self) -> Any:
        asked = self.context["request"].query_params.getlist("field")
        return {name: field for name, field in super().get_fields().items() if name in asked}


class RenamingSerializer(DeclaringSerializer):
    """Answers otherwise for the request."""

    def to_representation(self, row: Customer) -> Any:
        return {"path": self.context["request"].path}


class LinkingSerializer(serializers.ModelSerializer[Customer]):
    """Has a field that reads the request."""

    link = serializers.SerializerMethodField()

    class Meta:
        model = Customer
        fields = ["link"]

    def get_link(self, row: Customer) -> str:
        return str(self.context["request"].build_absolute_uri(f"/{row.pk}"))


class HidingSerializer(DeclaringSerializer):
    """Leaves out a field by the request, where REST framework asks for its names."""

    def get_field_names(self, *args: Any) -> Any:
        request = self.context.get("request")
        names = super().get_field_names(*args)
        return names if request is None else [name for name in names if name == "id"]


class Mixin:
    """What a mixin of somebody else does."""

    def to_representation(self, row: Any) -> Any:
        return {"mixed": True}


class MixedSerializer(Mixin, DeclaringSerializer):
    """Has it from a mixin."""


class ManySerializer(DeclaringSerializer):
    """Has a list of its own."""

    class Meta(DeclaringSerializer.Meta):
        list_serializer_class = serializers.ListSerializer


class Plain(RetrieveAPIView[Customer]):
    """A view as REST framework's documentation shows it."""

    authentication_classes: list[Any] = []
    throttle_classes: list[Any] = []
    permission_classes: list[Any] = []
    serializer_class: Any = CustomerSerializer
    lookup_url_kwarg = "customer_id"
    queryset = Customer.objects.all()


class GuardedShow(GuardedView, RetrieveAPIView[Customer]):
    """The same behind the guard."""

    serializer_class: Any = CustomerSerializer
    lookup_url_kwarg = "customer_id"
    queryset = Customer.objects.all()

    @endpoint(Permission.CUSTOMERS_READ, "Show a customer", response=CustomerSerializer)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self.retrieve(request, *args, **kwargs)


class GuardedList(GuardedView, ListAPIView[Customer]):
    """A list behind the guard."""

    serializer_class: Any = CustomerSerializer
    pagination_class = None
    queryset = Customer.objects.order_by("pk")

    @endpoint(Permission.CUSTOMERS_READ, "List customers", response=CustomerSerializer)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self.list(request, *args, **kwargs)


V1 = "api/<environment:environment>/v1"
urlpatterns = [
    path(f"{V1}/shown/<uuid:customer_id>", GuardedShow.as_view()),
    path(f"{V1}/listed", GuardedList.as_view()),
    path("alone/<uuid:customer_id>", Plain.as_view()),
    *product_urlpatterns,
]


@pytest.mark.urls(__name__)
def test_a_generic_view_answers_behind_the_guard_as_it_does_alone(client: Any) -> None:
    customers = [make_customer(metadata={"é": [1, None]}), make_customer()]
    api = Caller(issue(permissions=[Permission.CUSTOMERS_READ]))

    shown = [api.get(f"shown/{customer.pk}") for customer in customers]
    listed = api.get("listed")

    alone = [client.get(f"/alone/{customer.pk}").json() for customer in customers]
    assert [response.json() for response in shown] == alone
    assert listed.json() == alone


@pytest.mark.parametrize(
    "serializer",
    [
        ChoosingSerializer,
        HidingSerializer,
        MixedSerializer,
        RenamingSerializer,
        LinkingSerializer,
        ManySerializer,
        LicenseSerializer,
        serializers.ListSerializer,
    ],
)
def test_a_serializer_that_does_more_than_declare_is_made_for_each_answer(serializer: Any) -> None:
    assert not can_share(serializer)


@pytest.mark.parametrize("serializer", [ChoosingSerializer, RenamingSerializer, LinkingSerializer])
def test_such_a_serializer_has_the_request(serializer: Any) -> None:
    view, customer = _view(serializer, "/x?field=name"), make_customer()

    data = view.get_serializer(customer).data

    wanted = {
        ChoosingSerializer: {"name": customer.name},
        RenamingSerializer: {"path": "/x"},
        LinkingSerializer: {"link": f"http://testserver/{customer.pk}"},
    }
    assert data == wanted[serializer]


@pytest.mark.parametrize("serializer", [DeclaringSerializer, CustomerSerializer])
def test_shared_fields_say_what_own_ones_say(serializer: Any) -> None:
    view, rows = _view(serializer), [make_customer(metadata={"tags": ["a"]}), make_customer()]
    one, all_rows = view.get_serializer(rows[0]), view.get_serializer(Customer.objects, many=True)

    assert can_share(serializer)
    assert isinstance(one, Shown)
    assert one.data == serializer(rows[0]).data
    assert all_rows.data == serializer(Customer.objects.all(), many=True).data


def test_a_change_of_fields_is_of_one_answer_alone() -> None:
    view, customer = _view(DeclaringSerializer), make_customer()

    changed = view.get_serializer(customer)
    changed.fields.pop("name")

    assert "name" not in changed.data
    assert "name" in view.get_serializer(customer).data


def test_what_a_view_changes_of_the_data_is_answered() -> None:
    view, customer = _view(DeclaringSerializer), make_customer(name="One")
    one, many = view.get_serializer(customer), view.get_serializer(iter([customer]), many=True)

    one.data["note"] = "x"
    many.data[0]["note"] = "y"

    assert one.data["note"] == "x"
    assert many.data[0]["note"] == "y"
    assert copy.copy(one).data["note"] == "x"


def test_other_ways_to_the_fields_and_the_row_lead_to_a_serializer_of_its_own() -> None:
    view, first, second = _view(DeclaringSerializer), make_customer(), make_customer()
    changed = view.get_serializer(first)

    bound = view.get_serializer(first)["name"]
    names = [field.name for field in view.get_serializer(first)]
    _ = changed.data
    changed.instance = second

    assert bound.value == first.name
    assert "created_at" in names
    assert changed.data["id"] == str(second.pk)


def test_input_is_read_by_a_serializer_of_its_own() -> None:
    view = _view(DeclaringSerializer)

    assert isinstance(view.get_serializer(data={}), DeclaringSerializer)
    assert isinstance(view.get_serializer(make_customer(), data={}), DeclaringSerializer)
    assert isinstance(view.get_serializer(), DeclaringSerializer)


def _view(serializer: Any, address: str = "/x") -> GuardedShow:
    view = GuardedShow()
    view.serializer_class = serializer
    view.setup(APIRequestFactory().get(address))
    view.request = view.initialize_request(view.request)
    return view
