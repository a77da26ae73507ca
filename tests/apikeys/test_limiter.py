"""What every store of the limiter does, alike."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apikeys.limiter.store import MICROSECONDS, NEVER, SLOTS, Window
from tests.support.limiter_stores import Clocked, clocked, cluster_store, file_store, redis_store

__all__ = ["clocked", "cluster_store", "file_store", "redis_store"]

MINUTE, HOUR = 60 * MICROSECONDS, 3600 * MICROSECONDS
ANYTHING = Window("day", 1_000_000, 86_400)


def windows(minute: int, hour: int = 1_000_000) -> tuple[Window, ...]:
    return (Window("minute", minute, 60), Window("hour", hour, 3600), ANYTHING)


def admitted(clocked: Clocked, asked: int, limits: tuple[Window, ...]) -> int:
    return sum(clocked.store.hit(clocked.subject, limits).is_admitted for _ in range(asked))


def test_exactly_the_limit_is_admitted(clocked: Clocked) -> None:
    assert admitted(clocked, 12, windows(10)) == 10


def test_a_window_rolls_and_does_not_restart(clocked: Clocked) -> None:
    # Nine at the end of a calendar minute, and one before: a fixed window would admit ten more
    # right after its edge.
    admitted(clocked, 1, windows(10))
    clocked.advance(50 * MICROSECONDS)
    admitted(clocked, 9, windows(10))

    clocked.advance(10 * MICROSECONDS)

    assert admitted(clocked, 10, windows(10)) == 1


def test_an_admission_counts_for_exactly_the_window(clocked: Clocked) -> None:
    admitted(clocked, 1, windows(1))

    clocked.advance(MINUTE - 1)
    before = admitted(clocked, 1, windows(1))
    clocked.advance(1)
    after = admitted(clocked, 1, windows(1))

    assert (before, after) == (0, 1)


def test_a_refusal_consumes_nothing_in_any_window(clocked: Clocked) -> None:
    limits = windows(2, hour=5)
    admitted(clocked, 2, limits)
    for _ in range(20):
        clocked.store.hit(clocked.subject, limits)

    clocked.advance(MINUTE)
    decision = clocked.store.hit(clocked.subject, limits)

    assert decision.is_admitted
    assert list(decision.remaining[:2]) == [1, 2]


def test_all_windows_decide_together(clocked: Clocked) -> None:
    limits = windows(5, hour=7)
    admitted(clocked, 5, limits)
    clocked.advance(MINUTE)
    admitted(clocked, 2, limits)

    decision = clocked.store.hit(clocked.subject, limits)

    assert decision.violated == ["hour"]
    assert list(decision.remaining[:2]) == [3, 0]


def test_a_wait_is_the_smallest_after_which_a_request_passes(clocked: Clocked) -> None:
    limits = windows(3)
    for _ in range(3):
        admitted(clocked, 1, limits)
        clocked.advance(7 * MICROSECONDS)
    wait = clocked.store.hit(clocked.subject, limits).waits[0]

    clocked.advance(wait - 1)
    too_early = clocked.store.peek(clocked.subject, limits).is_admitted
    clocked.advance(1)
    in_time = clocked.store.hit(clocked.subject, limits).is_admitted

    assert wait == MINUTE - 21 * MICROSECONDS
    assert (too_early, in_time) == (False, True)


def test_retry_after_waits_for_the_slowest_window(clocked: Clocked) -> None:
    limits = windows(2, hour=2)
    admitted(clocked, 2, limits)

    assert clocked.store.hit(clocked.subject, limits).retry_after == 3600


def test_a_lowered_limit_binds_at_once_and_waits_for_enough_to_leave(clocked: Clocked) -> None:
    for _ in range(10):
        admitted(clocked, 1, windows(20))
        clocked.advance(MICROSECONDS)

    decision = clocked.store.hit(clocked.subject, windows(4))

    assert not decision.is_admitted
    assert decision.remaining[0] == 0
    # Seven of ten have to leave; the seventh came six seconds after the first.
    assert decision.waits[0] == MINUTE - 4 * MICROSECONDS


def test_a_raised_limit_counts_what_was_admitted_before(clocked: Clocked) -> None:
    admitted(clocked, 5, windows(5))

    assert admitted(clocked, 10, windows(8)) == 3


def test_a_limit_of_nothing_blocks_and_names_no_end(clocked: Clocked) -> None:
    decision = clocked.store.hit(clocked.subject, windows(0))

    assert not decision.is_admitted
    assert decision.waits[0] == NEVER
    assert decision.violated == ["minute"]


def test_looking_counts_nothing(clocked: Clocked) -> None:
    for _ in range(5):
        assert clocked.store.peek(clocked.subject, windows(1)).is_admitted

    assert admitted(clocked, 2, windows(1)) == 1


def test_the_reset_is_when_the_oldest_admission_leaves(clocked: Clocked) -> None:
    admitted(clocked, 1, windows(10))
    clocked.advance(18 * MICROSECONDS)

    decision = clocked.store.hit(clocked.subject, windows(10))

    assert (decision.remaining[0], decision.resets[0]) == (8, MINUTE - 18 * MICROSECONDS)


@pytest.mark.parametrize("hour", [1_000_000, 50])
def test_admissions_that_share_a_slot_leave_with_the_last_of_them(
    clocked: Clocked, hour: int
) -> None:
    limits = windows(100, hour)
    admitted(clocked, 1, limits)
    clocked.advance(MICROSECONDS // 2)

    decision = clocked.store.hit(clocked.subject, limits)

    assert (decision.remaining[0], decision.resets[0]) == (98, MINUTE)


def test_subjects_do_not_share(clocked: Clocked) -> None:
    admitted(clocked, 5, windows(5))

    assert clocked.store.hit(clocked.subject + "x", windows(5)).is_admitted


def test_a_clock_set_back_a_little_forgives_nothing(clocked: Clocked) -> None:
    admitted(clocked, 5, windows(5))
    clocked.advance(-30 * MICROSECONDS)

    assert admitted(clocked, 1, windows(5)) == 0


def test_a_clock_that_was_an_hour_ahead_does_not_lock_anyone_out(clocked: Clocked) -> None:
    clocked.advance(HOUR)
    admitted(clocked, 5, windows(5))
    clocked.advance(-HOUR)

    assert admitted(clocked, 5, windows(5)) == 5


def test_a_large_window_is_never_over_and_hardly_late(clocked: Clocked) -> None:
    limit = 600
    limits = windows(limit)
    assert admitted(clocked, limit + 5, limits) == limit

    clocked.advance(MINUTE - 1)
    too_early = admitted(clocked, 1, limits)
    clocked.advance(1 + MINUTE // SLOTS)

    assert too_early == 0
    assert admitted(clocked, limit + 5, limits) == limit


def test_one_sweep_forgets_only_what_has_passed(file_store: Clocked) -> None:
    limits = (Window("minute", 5, 60),)
    file_store.store.hit("old", limits)
    file_store.advance(2 * MINUTE)
    file_store.store.hit("new", limits)

    swept = file_store.store.sweep()

    assert swept == 1
    assert file_store.store.peek("new", limits).remaining[0] == 4


def test_of_threads_that_come_at_once_exactly_the_limit_passes(clocked: Clocked) -> None:
    start = threading.Barrier(8)

    def ask(_: int) -> int:
        start.wait()
        return admitted(clocked, 25, windows(50))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 50


@pytest.mark.parametrize("limit", [50, 5_000])
def test_of_threads_with_mixed_costs_as_many_units_pass_as_fit(
    clocked: Clocked, limit: int
) -> None:
    start = threading.Barrier(8)
    costs = [1, limit // 9, limit // 4, limit + 1]

    def ask(thread: int) -> int:
        start.wait()
        order = costs[thread % 4 :] + costs[: thread % 4]
        return sum(
            cost * clocked.store.hit(clocked.subject, windows(limit), cost).is_admitted
            for cost in order * 5
        )

    with ThreadPoolExecutor(8) as pool:
        units = sum(pool.map(ask, range(8)))

    remaining = clocked.store.peek(clocked.subject, windows(limit)).remaining
    assert remaining[0] == limit - units
    # There were more requests for a ninth than fit: what remains is too little for one of them.
    assert limit - limit // 9 < units <= limit


def test_a_cost_is_admitted_whole_or_not_at_all(clocked: Clocked) -> None:
    limits = windows(10, hour=12)
    clocked.store.hit(clocked.subject, limits, 6)

    refused = clocked.store.hit(clocked.subject, limits, 5)
    admitted = clocked.store.hit(clocked.subject, limits, 4)

    assert (refused.violated, list(refused.remaining[:2])) == (["minute"], [4, 6])
    assert (admitted.is_admitted, list(admitted.remaining[:2])) == (True, [0, 2])


def test_a_cost_waits_until_all_of_it_fits(clocked: Clocked) -> None:
    for cost in (2, 1, 4):
        clocked.store.hit(clocked.subject, windows(8), cost)
        clocked.advance(MICROSECONDS)

    waits = [clocked.store.peek(clocked.subject, windows(8), cost).waits[0] for cost in range(1, 9)]

    seconds = [0, 57, 57, 58, 59, 59, 59, 59]
    assert waits == [second * MICROSECONDS for second in seconds]


def test_a_cost_above_the_limit_is_never_admitted(clocked: Clocked) -> None:
    limits = windows(10, hour=100)

    decision = clocked.store.hit(clocked.subject, limits, 11)

    assert not decision.is_admitted
    assert (decision.violated, decision.waits[0], decision.resets[0]) == (["minute"], NEVER, 0)
    assert list(decision.remaining[:2]) == [10, 100]


def test_an_admission_leaves_with_its_whole_cost(clocked: Clocked) -> None:
    limits = windows(600)
    for cost in (300, 200):
        clocked.store.hit(clocked.subject, limits, cost)
    clocked.advance(2 * MICROSECONDS)
    clocked.store.hit(clocked.subject, limits, 100)

    clocked.advance(MINUTE - 2 * MICROSECONDS)

    assert clocked.store.peek(clocked.subject, limits, 500).remaining[0] == 500
    assert not clocked.store.peek(clocked.subject, limits, 501).is_admitted


@pytest.mark.parametrize("ask", ["hit", "peek"])
@pytest.mark.parametrize("cost", [0, -1])
def test_a_cost_below_one_is_refused(clocked: Clocked, ask: str, cost: int) -> None:
    with pytest.raises(ValueError, match=r"never be refused\. Name a cost of 1 or more\."):
        getattr(clocked.store, ask)(clocked.subject, windows(10), cost)


def stepping(costs: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Requests: microseconds since the one before, and the cost."""
    times = st.one_of(
        st.integers(0, 3 * MICROSECONDS),
        st.integers(0, MINUTE),
        st.sampled_from([0, 1, MINUTE - 1, MINUTE, MINUTE + 1, HOUR]),
    )
    return st.lists(st.tuples(times, costs), max_size=60)


same_fixture = hypothesis_settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


Admissions = list[tuple[int, int]]


def counted(admissions: Admissions, now: int, span: int) -> int:
    """Return the units of the reference: admissions as pairs of timestamp and cost."""
    return sum(cost for time, cost in admissions if time > now - span)


def reset(admissions: Admissions, now: int, window: Window) -> int:
    """Return the microseconds until the reference has more room than now."""
    limit, span = window.limit, window.seconds * MICROSECONDS
    room = max(0, limit - counted(admissions, now, span))
    for time, _ in admissions:
        if time > now - span and limit - counted(admissions, time + span, span) > room:
            return time + span - now
    return 0 if limit else NEVER


def all_counted(admissions: Admissions, now: int, limits: tuple[Window, ...]) -> list[int]:
    return [counted(admissions, now, window.seconds * MICROSECONDS) for window in limits]


@same_fixture
@given(
    steps=st.one_of(stepping(st.just(1)), stepping(st.integers(1, 6))),
    minute=st.integers(0, 8),
    hour=st.integers(0, 20),
)
def test_small_windows_decide_as_the_exact_model_does(
    clocked: Clocked, steps: list[tuple[int, int]], minute: int, hour: int
) -> None:
    fresh(clocked)
    limits = windows(minute, hour)
    admissions: Admissions = []
    for step, cost in steps:
        clocked.advance(step)
        before = all_counted(admissions, clocked.now, limits)
        fits = [count + cost <= window.limit for count, window in zip(before, limits, strict=True)]

        decision = clocked.store.hit(clocked.subject, limits, cost)

        assert decision.is_admitted == all(fits)
        assert [not wait for wait in decision.waits] == fits
        admissions += [(clocked.now, cost)] if all(fits) else []
        after = all_counted(admissions, clocked.now, limits)
        assert list(decision.remaining) == [
            max(0, window.limit - count) for count, window in zip(after, limits, strict=True)
        ]
        # Of the day, admissions share slots.
        assert list(decision.resets[:2]) == [
            reset(admissions, clocked.now, window) for window in limits[:2]
        ]
        if cost > min(minute, hour):
            assert max(decision.waits) == NEVER
        elif not all(fits):
            clocked.set(clocked.now + max(decision.waits) - 1)
            assert not clocked.store.peek(clocked.subject, limits, cost).is_admitted
            clocked.advance(1)
            assert clocked.store.peek(clocked.subject, limits, cost).is_admitted


@same_fixture
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 20 * MICROSECONDS),
            st.lists(st.one_of(st.just(1), st.integers(1, 40)), min_size=1, max_size=60),
        ),
        max_size=25,
    ),
    limits=st.lists(st.integers(SLOTS - 5, 150), min_size=25, max_size=25),
)
def test_large_windows_never_admit_more_than_the_limit_in_any_rolling_span(
    clocked: Clocked, steps: list[tuple[int, list[int]]], limits: list[int]
) -> None:
    fresh(clocked)
    admissions: Admissions = []
    for (step, costs), limit in zip(steps, limits, strict=False):
        clocked.advance(step)
        for cost in costs:
            clocked.advance(997)
            room = counted(admissions, clocked.now, MINUTE) + cost <= limit
            late = MINUTE + MINUTE // SLOTS
            surely = counted(admissions, clocked.now, late) + cost <= limit

            decision = clocked.store.hit(clocked.subject, windows(limit), cost)

            assert decision.is_admitted <= room
            assert decision.is_admitted >= surely
            admissions += [(clocked.now, cost)] if decision.is_admitted else []


MANY = (
    Window("day", 50, 86_400),
    Window("second", 2, 1),
    Window("minute", 5, 60),
    Window("hour", 9, 3600),
)


def test_any_number_of_windows_in_any_order_decide_together(clocked: Clocked) -> None:
    first = admitted(clocked, 5, MANY)
    clocked.advance(MICROSECONDS)
    second = admitted(clocked, 5, MANY)
    clocked.advance(MICROSECONDS)
    third = admitted(clocked, 5, MANY)

    assert (first, second, third) == (2, 2, 1)
    assert clocked.store.peek(clocked.subject, MANY).violated == ["minute"]


@pytest.mark.parametrize("slots", [0, 2, SLOTS + 9])
def test_another_number_of_windows_starts_anew(clocked: Clocked, slots: int) -> None:
    for windows in (MANY[1:], MANY, MANY[1:], MANY[2:], MANY):
        lots = tuple(window._replace(limit=1000) for window in windows)
        remaining = []
        for _ in range(slots + 1):
            remaining.append(clocked.store.hit(clocked.subject, lots).remaining[-1])
            clocked.advance(2 * MICROSECONDS)

        assert remaining == list(range(999, 998 - slots, -1))


def test_one_sweep_keeps_a_subject_until_its_longest_window_has_passed(
    file_store: Clocked,
) -> None:
    limits = (Window("hour", 5, 3600), Window("minute", 5, 60))
    file_store.store.hit("long", limits)
    file_store.advance(2 * MINUTE)

    swept = file_store.store.sweep()

    assert swept == 0
    assert file_store.store.peek("long", limits).remaining[0] == 4


@pytest.mark.parametrize("ask", ["hit", "peek"])
def test_nothing_is_admitted_without_a_window(clocked: Clocked, ask: str) -> None:
    with pytest.raises(ValueError, match=r"^There is no window to count in\. Name "):
        getattr(clocked.store, ask)(clocked.subject, ())


def fresh(clocked: Clocked) -> None:
    """Start an example with a subject and a time of its own."""
    clocked.subject += "'"
    clocked.advance(48 * HOUR)


@pytest.mark.parametrize("seconds", [1, 60])
def test_a_ping_counts_for_nobody(clocked: Clocked, seconds: int) -> None:
    clocked.store.ping()

    assert admitted(clocked, 1, (Window("any", 1, seconds),)) == 1
