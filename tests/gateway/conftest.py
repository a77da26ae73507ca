"""The service that the tests of decisions ask about."""

import pytest

from gateway import lifecycle
from gateway.models import Service
from gateway.rules import parse_rules
from tests.support.factories import ACTOR

RULES = (
    "GET /open/** public",
    "GET /any/** any-key",
    "POST /dear/** any-key cost=5",
    "GET /v1/{name} customers:read",
)


@pytest.fixture
def service() -> Service:
    """The service ``orders``, with a rule of each kind."""
    return lifecycle.create("orders", actor=ACTOR, rules=parse_rules(RULES))
