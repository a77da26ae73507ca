"""What the database itself refuses."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apikeys.environments import Environment
from apikeys.models import ApiKey, KeyCustomer, SecretVersion
from tests.support.factories import issue, make_customer

pytestmark = pytest.mark.django_db


def refused(write: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():  # noqa: PT012 - or at its end
        write()
        connection.check_constraints()


@pytest.mark.parametrize("environment", Environment)
def test_a_key_reaches_no_customer_of_another_environment(environment: Environment) -> None:
    key = issue(environment=Environment.PRODUCTION).key
    stranger = make_customer(environment=Environment.STAGING)

    refused(lambda: KeyCustomer.objects.create(key=key, customer=stranger, environment=environment))


def test_a_key_with_customers_cannot_change_its_environment() -> None:
    customer = make_customer()
    key = issue(customers=[customer.pk]).key

    refused(lambda: ApiKey.objects.filter(pk=key.pk).update(environment="staging"))


def test_a_key_has_one_current_secret() -> None:
    key = issue().key

    refused(lambda: SecretVersion.objects.create(key=key, number=2, digest="0" * 64, pepper=1))


@pytest.mark.parametrize(
    "fields", [{"environment": "moon"}, {"customer_scope": "some"}, {"limit_minute": -1}]
)
def test_impossible_keys_are_impossible(fields: dict[str, Any]) -> None:
    key = issue().key

    refused(lambda: ApiKey.objects.filter(pk=key.pk).update(**fields))


def test_a_reference_is_unique_within_an_environment_only() -> None:
    make_customer(external_reference="R-1")
    make_customer(environment=Environment.STAGING, external_reference="R-1")

    refused(lambda: make_customer(external_reference="R-1"))


def test_a_key_with_history_cannot_be_deleted() -> None:
    key = issue().key

    with pytest.raises(IntegrityError):
        key.delete()
