"""No sequence of calls by a managing key yields a credential that may do more than that key."""

import operator
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from apikeys import credentials, lifecycle
from apikeys.models import ApiKey
from customers.models import Customer
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer
from tests.support.hand_overs import Recipient

CODES = ["keys:manage", "customers:read", "jobs:run"]
NETWORKS: list[list[str]] = [["10.0.0.0/8"], ["10.1.0.0/16"], [], ["2001:db8::/32", "0.0.0.0/0"]]
ADDRESSES = ["10.1.2.3", "10.2.2.3", "192.0.2.1", "2001:db8::1", "2001:db9::1"]
TIMES = [datetime(year, 1, 1, tzinfo=UTC) for year in (2998, 2999)]
VALUES: dict[str, Any] = {
    "permissions": st.lists(st.sampled_from(CODES), unique=True),
    "customers": st.none() | st.lists(st.sampled_from(range(3)), max_size=2, unique=True),
    "minute": st.sampled_from([None, 300, 600, 100_000]),
    "networks": st.sampled_from(NETWORKS),
    "expires_at": st.sampled_from([None, *TIMES]),
}
ANYTHING = st.fixed_dictionaries(VALUES)
# Of the rest a key is as its manager: so most are refused for what they are to be more.
DIFFERENCES = st.lists(
    st.one_of(*(st.tuples(st.just(name), values) for name, values in VALUES.items())),
    min_size=1,
    max_size=2,
).map(dict)


NUMBER = st.integers(0, 99)
GIVEN = st.sampled_from([{}, {"hand_over": 1}])
CREDENTIAL = re.compile(r"lk_prod_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


class Authority(RuleBasedStateMachine):
    """Keys made by people, and calls with every credential that the manager comes to hold."""

    @initialize(drawn=ANYTHING, others=st.lists(DIFFERENCES, min_size=2, max_size=4))
    def manage(self, drawn: Any, others: Any) -> None:
        self.customers = [make_customer() for _ in range(3)]
        self.own = drawn | {"permissions": sorted({*drawn["permissions"], "keys:manage"})}
        manager = issue(**self._settings(self.own))
        self.manager = manager.key
        self.held = [manager.credential]
        self.keys = [manager.key.pk]
        self.links: list[str] = []
        for other in others:
            self.a_person_makes_a_key(other)

    @rule(drawn=DIFFERENCES)
    def a_person_makes_a_key(self, drawn: Any) -> None:
        self.keys.append(issue(**self._settings(self.own | drawn)).key.pk)

    @rule(number=NUMBER)
    def a_person_revokes_a_key(self, number: int) -> None:
        key_id = self.keys[number % len(self.keys)]
        if key_id != self.manager.pk:
            lifecycle.revoke(ApiKey.objects.get(pk=key_id), actor=ACTOR)

    @rule(who=NUMBER, drawn=DIFFERENCES, given=GIVEN)
    def create(self, who: int, drawn: Any, given: Any) -> None:
        self._call(who, "POST", "keys", {"name": "Made"} | self._body(self.own | drawn) | given)

    @rule(who=NUMBER, key=NUMBER, overlap=st.sampled_from([0, 60]), given=GIVEN)
    def regenerate(self, who: int, key: int, overlap: int, given: Any) -> None:
        path = f"keys/{self._other(who, key)}/regenerate"
        self._call(who, "POST", path, {"overlap": overlap} | given)

    @rule(number=NUMBER)
    def confirm(self, number: int) -> None:
        if self.links:
            page = Recipient().confirms(self.links[number % len(self.links)]).text
            self.held += CREDENTIAL.findall(page)
            self._judge()

    @rule(who=NUMBER, key=NUMBER, drawn=DIFFERENCES)
    def change(self, who: int, key: int, drawn: Any) -> None:
        self._call(who, "PATCH", f"keys/{self._other(who, key)}", self._body(drawn))

    @rule(who=NUMBER, key=NUMBER, move=st.sampled_from(["activate", "revoke"]))
    def move(self, who: int, key: int, move: str) -> None:
        self._call(who, "POST", f"keys/{self._other(who, key)}/{move}")

    def _settings(self, drawn: dict[str, Any]) -> dict[str, Any]:
        numbers = drawn["customers"]
        return {
            "permissions": drawn["permissions"],
            "customers": numbers and [self.customers[number].pk for number in numbers],
            "limit_minute": drawn["minute"],
            "networks": drawn["networks"],
            "expires_at": drawn["expires_at"],
        }

    def _body(self, drawn: dict[str, Any]) -> dict[str, Any]:
        body = {n: v for n, v in drawn.items() if n in {"permissions", "networks"}}
        if "minute" in drawn:
            body["limits"] = {"minute": drawn["minute"]}
        if "expires_at" in drawn:
            expires_at = drawn["expires_at"]
            body["expires_at"] = expires_at and expires_at.isoformat()
        if "customers" in drawn:
            numbers = drawn["customers"]
            body["customer_scope"] = "all" if numbers is None else "selected"
            if numbers is not None:
                body["customers"] = [str(self.customers[number].pk) for number in numbers]
        return body

    def _caller(self, who: int) -> str:
        return self.held[who % len(self.held)]

    def _other(self, who: int, key: int) -> str:
        """Return a key that is not the calling one."""
        others = [key for key in self.keys if key != self._key_of(self._caller(who)).pk]
        return others[key % len(others)]

    def _call(self, who: int, method: str, path: str, body: Any = None) -> None:
        """Call, remember the credential of the answer if there is one, and judge them all."""
        credential = self._caller(who)
        allowed = filter(self._key_of(credential).allows_address, ADDRESSES)
        answer = Caller(credential, REMOTE_ADDR=next(allowed)).call(method, path, body)
        # 400: an overlap for a key that is revoked; 409: a hand-over of one.
        assert answer.status_code in {200, 201, 400, 401, 403, 409}, answer.content
        shown = answer.json()
        if "key" in shown:
            self.held += filter(None, [shown["key"]])
            self.links += filter(None, [shown.get("hand_over_url")])
            self.keys = list(dict.fromkeys([*self.keys, shown["id"]]))
        self._judge()

    @staticmethod
    def _key_of(credential: str) -> ApiKey:
        parsed = credentials.parse(credential)
        assert parsed is not None
        return ApiKey.objects.get(pk=parsed.key_id)

    def _judge(self) -> None:
        """Compare what each credential may do now, by what the guard goes by, with the manager."""
        manager = self.manager
        for credential in self.held:
            key = self._key_of(credential)
            if key.status != "active":
                continue
            assert key.environment == manager.environment
            assert set(key.permissions) <= set(manager.permissions)
            assert _reached(key) <= _reached(manager)
            assert key.is_scoped or not manager.is_scoped
            assert all(map(operator.le, key.limits, manager.limits))
            assert _addresses(key) <= _addresses(manager)
            assert bool(key.networks) or not manager.networks
            assert _end(key) <= _end(manager)


def _reached(key: ApiKey) -> set[Any]:
    return set(Customer.objects.visible_to(key).values_list("pk", flat=True))


def _addresses(key: ApiKey) -> set[str]:
    return set(filter(key.allows_address, ADDRESSES))


def _end(key: ApiKey) -> datetime:
    return key.expires_at or datetime.max.replace(tzinfo=UTC)


@pytest.mark.django_db
def test_no_sequence_of_calls_yields_a_credential_that_may_do_more() -> None:
    assert django_settings.DEFAULT_LIMITS["production"][0] == 600

    run_state_machine_as_test(
        Authority,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            # A sequence that fails is short enough to read as it is.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
