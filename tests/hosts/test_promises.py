"""Promises 1, 2, 3, 7 and 9, kept by two hosts together, whose clocks differ."""

import random
import signal
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx
import pytest

from apikeys.guard import problems
from tests.hosts.test_promotion import answers
from tests.promises import test_exact_limits, test_jobs, test_outages, test_request_log
from tests.promises.test_revocation import CHANGES, wrongly_accepted
from tests.support.hosts import CLOCK_SECONDS, NAME, Hosts, kill
from tests.support.product import Latchkey
from tests.support.servers import wait_until

pytestmark = pytest.mark.crash

# The lease is longer than the clocks differ, as docs/operating.md asks.
SETTINGS = test_jobs.SETTINGS | {"JOB_LEASE_SECONDS": str(2 * CLOCK_SECONDS)}
KILLS = 4
JOBS = 8


@pytest.fixture(scope="module")
def started() -> Iterator[Hosts]:
    with Hosts(**SETTINGS) as hosts:
        yield hosts


@pytest.fixture
def hosts(started: Hosts) -> Hosts:
    """Both hosts, ready again after what the test before did to them."""
    wait_until(started.is_ready)
    return started


def test_the_clocks_of_the_hosts_differ(hosts: Hosts) -> None:
    first, second = (
        parsedate_to_datetime(httpx.get(url + "/healthz").headers["date"]) for url in hosts.urls
    )

    assert abs((second - first).total_seconds() - CLOCK_SECONDS) <= 1


@pytest.mark.parametrize(
    "change", ["revoke", "lower a limit", "narrow a permission, for a service"]
)
def test_a_change_on_one_host_binds_the_next_request_on_both(hosts: Hosts, change: str) -> None:
    started, accepted = wrongly_accepted(hosts.one, CHANGES[change], seconds=0.5, urls=hosts.urls)

    assert started > 20
    assert accepted == 0


@pytest.mark.parametrize("limit", [7, 250])
def test_of_five_hundred_at_once_over_both_exactly_the_limit_passes(
    hosts: Hosts, limit: int
) -> None:
    passed, _ = test_exact_limits.admitted(hosts.one, limit, urls=hosts.urls)

    assert passed == limit


def kill_and_restart(host: Latchkey, chance: random.Random) -> None:
    """Kill all processes of a host, and start it again."""
    kill(host)
    host.serve()


def test_what_was_answered_is_recorded_once_while_one_host_dies(hosts: Hosts) -> None:
    answered, lost, doubled = test_request_log.crash(
        hosts.two, kills=2, harm=kill_and_restart, urls=hosts.urls
    )

    assert answered > 100
    assert (lost, doubled) == (0, 0)


def test_jobs_have_their_effects_once_while_workers_of_both_are_killed(hosts: Hosts) -> None:
    assert test_jobs.crash(hosts.one, kills=KILLS, jobs=JOBS, hosts=hosts.all) == (0, 0, 0)


@pytest.mark.parametrize("which", ["primary", "redis"])
def test_a_server_down_is_503_on_both_and_they_come_back(hosts: Hosts, which: str) -> None:
    server = getattr(hosts, which)
    credential = hosts.one.create_key()["key"]
    with hosts.one.caller(credential) as first, hosts.two.caller(credential) as second:
        server.stop(signal.SIGKILL)
        try:
            found = test_outages.answers(first) + test_outages.answers(second)
        finally:
            server.start()

    assert {status for status, _ in found} == {503}
    wait_until(lambda: all(answers(host, credential) for host in hosts.all))


def test_the_balancer_alone_answers_as_the_api_does(hosts: Hosts) -> None:
    for host in hosts.all:
        kill(host)
    try:
        wait_until(lambda: not any(hosts.balancer.is_up(number) for number in (0, 1)))
        refused = httpx.get(f"{hosts.balancer.url}/api/production/v1/key", headers={"Host": NAME})
    finally:
        for host in hosts.all:
            host.serve()
    wait_until(lambda: all(hosts.balancer.is_up(number) for number in (0, 1)))

    assert refused.status_code == 503
    assert refused.headers["content-type"] == problems.MEDIA_TYPE
    assert "retry-after" in refused.headers
    body = problems.unavailable().body("")
    assert refused.json() == {name: body[name] for name in refused.json()}


@pytest.mark.parametrize(
    "path", ["/auth/production/orders", "/%61uth/production/orders", "/metrics", "/metric%73"]
)
def test_what_trusts_the_balancers_address_is_not_reached_through_it(
    hosts: Hosts, path: str
) -> None:
    reply = httpx.get(f"{hosts.balancer.url}{path}", headers={"Host": NAME})

    assert (reply.status_code, reply.content) == (404, b"")


def test_the_balancer_sends_nothing_to_a_host_that_is_down(hosts: Hosts) -> None:
    credential = hosts.one.create_key()["key"]
    kill(hosts.two)
    try:
        wait_until(lambda: not hosts.balancer.is_up(1))
        with httpx.Client(base_url=hosts.balancer.url) as caller:
            headers = {"Authorization": f"Bearer {credential}", "Host": NAME}
            replies = [caller.get("/api/production/v1/key", headers=headers) for _ in range(20)]
    finally:
        hosts.two.serve()
    wait_until(lambda: hosts.balancer.is_up(1))

    assert {reply.status_code for reply in replies} == {200}
