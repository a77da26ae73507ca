"""The long runs behind the promises; ``make soak`` prints each figure.

Their short forms are in ``tests/promises``, and run with every test run.
"""

import contextlib
import itertools
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable

import django
from rich.console import Console
from rich.progress import Progress

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.settings")
django.setup()

from tests.hosts import test_durability, test_promotion, test_rolling_restart
from tests.promises import (
    test_contention,
    test_exact_limits,
    test_jobs,
    test_redis_failover,
    test_request_log,
    test_revocation,
    test_unfinished_bodies,
)
from tests.support.fuzz import World, fuzz
from tests.support.fuzz_decisions import RULES, fuzz_decisions
from tests.support.hosts import Hosts
from tests.support.product import Latchkey, running_on
from tests.support.proxy import TRUSTING
from tests.support.redis_servers import RedisCluster, RedisNodes, RedisSentinel
from tests.support.servers import running

PAIRS = {"SQLite": "sqlite", "PostgreSQL with Redis": "postgres"}
LENIENT = {"AUTH_FAILURE_LIMIT": "1000000/min", **TRUSTING}
console = Console()


def pair(name: str, **variables: str) -> contextlib.AbstractContextManager[Latchkey]:
    """Run the product on a storage pair."""
    return running_on(PAIRS[name], **variables)


def revocation(scale: float) -> None:
    """Promise 1."""
    wanted = int(10_000 * scale)
    for name in PAIRS:
        with pair(name, WEB_CONCURRENCY="4", **LENIENT) as product:
            started = accepted = 0
            while started < wanted:
                for change in test_revocation.CHANGES.values():
                    more, wrong = test_revocation.wrongly_accepted(product, change, seconds=2)
                    started, accepted = started + more, accepted + wrong
        console.print(
            f"promise 1, {name}: {accepted} of {started:,} requests started after a change was"
            " answered were wrongly accepted, 4 processes"
        )


def exact_limits(scale: float) -> None:
    """Promise 2."""
    rounds = max(1, int(20 * scale))
    for name in PAIRS:
        with pair(name, WEB_CONCURRENCY="4") as product:
            over = under = 0
            for number in range(rounds):
                limit = 20 + 19 * number
                passed, _ = test_exact_limits.admitted(product, limit)
                over += max(0, passed - min(limit, 400))
                under += max(0, min(limit, 400) - passed)
        console.print(
            f"promise 2, {name}: {over} over and {under} under in {rounds} x 500 concurrent"
        )


def hostile(scale: float) -> None:
    """Promise 5."""
    requests = int(100_000 * scale)
    statuses: Counter[int] = Counter()
    with contextlib.ExitStack() as stack:
        worlds = [World(stack.enter_context(pair(name, **LENIENT))) for name in PAIRS]
        for world in worlds:
            world.prepare()
            world.product.guard("orders", *RULES)
        seed = int(os.environ.get("SEED", time.time()))
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("fuzz", total=requests)
            statuses = fuzz(
                worlds,
                seed=seed,
                requests=requests,
                tell=lambda done: progress.update(task, completed=done),
            )
        questions = requests // 10
        codes, _ = fuzz_decisions(worlds, seed=seed, requests=questions)
    told = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))
    console.print(
        f"promise 5: no 5xx, no page, no difference between the pairs in {requests:,} requests"
        f" (seed {seed}): {told}"
    )
    console.print(f"  the same in {questions:,} questions of a proxy: {codes['200']:,} admitted")


def crashes(scale: float) -> None:
    """Promise 3."""
    kills = max(1, int(10 * scale))
    harms = {
        "kill -9 of web and worker": test_request_log.kill_web_and_worker,
        "a spool that was removed": test_request_log.remove_spool,
    }
    for name, (what, harm) in itertools.product(PAIRS, harms.items()):
        with pair(name, WEB_CONCURRENCY="4", **LENIENT) as product:
            answered, lost, doubled = test_request_log.crash(product, kills=kills, harm=harm)
        console.print(
            f"promise 3, {name}: {lost} lost and {doubled} doubled of {answered:,} answered"
            f" requests, {kills} x {what}, 4 processes"
        )


def jobs(scale: float) -> None:
    """Promise 7."""
    kills = max(1, int(50 * scale))
    for name in PAIRS:
        with pair(name, **test_jobs.SETTINGS) as product:
            stuck, lost, doubled = test_jobs.crash(product, kills=kills, jobs=3 * kills)
        console.print(
            f"promise 7, {name}: {stuck} stuck, {lost} lost and {doubled} doubled effects,"
            f" {3 * kills} jobs, {kills} x kill -9"
        )


def contention(scale: float) -> None:
    """Promise 8."""
    seconds, old_rows = 300 * scale, int(150_000 * scale)
    with pair("SQLite") as product:
        found = test_contention.contend(product, seconds=seconds, old_rows=old_rows)
    statuses = Counter(answer.status for answer in found.answers)
    writes = found.writes()
    middle, late = (writes[int(len(writes) * part)] * 1000 for part in (0.5, 0.99))
    console.print(
        f"promise 8: {len(found.locked)} x database is locked in {seconds:.0f} s of 8 threads,"
        f" worker, pruning and backup: {dict(statuses)}; {len(writes) / seconds:.0f} writes/s,"
        f" median {middle:.0f} ms, 99 % within {late:.0f} ms, slowest {writes[-1] * 1000:.0f} ms;"
        f" {old_rows:,} old requests pruned in {found.prunings[0]:.0f} s; {len(found.backups)}"
        f" backups, slowest {max(found.backups):.1f} s, the last"
        f" {'whole' if found.is_copy_whole else 'DAMAGED'}",
        *found.locked,
        sep="\n",
    )


def unfinished_bodies(scale: float) -> None:
    """Promise 9, as far as callers can break it."""
    seconds = max(1, int(60 * scale))
    for name in PAIRS:
        with pair(name, BODY_TIMEOUT_SECONDS=str(seconds + 2)) as product:
            slowest, _ = test_unfinished_bodies.slowest_answer(product, seconds=seconds)
        console.print(
            f"promise 9, {name}: the slowest answer took {slowest * 1000:.0f} ms while"
            f" {test_unfinished_bodies.CONNECTIONS} connections did not finish their bodies"
        )


def failover(scale: float) -> None:
    """Promises 2 and 9, with Redis that takes over from itself."""
    rounds = max(1, int(10 * scale))
    forms: dict[str, Callable[[], RedisNodes]] = {
        "Redis Cluster": RedisCluster,
        "Sentinel": RedisSentinel,
    }
    harms = {"kill -9": test_redis_failover.kill, "freeze": test_redis_failover.freeze}
    for (name, form), (what, harm) in itertools.product(forms.items(), harms.items()):
        with contextlib.ExitStack() as stack:
            servers = stack.enter_context(running(form()))
            product = stack.enter_context(running(Latchkey(redis=servers.url)))
            found = test_redis_failover.fail_over(product, servers, harm, rounds)
        console.print(
            f"promises 2 and 9, {name}, {rounds} x {what} of a primary: {found.forgotten} of"
            f" {found.admitted:,} admissions forgotten, {sum(found.unanswered)} counted and not"
            f" admitted, {found.refused:,} refused with 503; slowest answer"
            f" {found.slowest * 1000:.0f} ms; counted again after"
            f" {statistics.median(found.outages):.1f} s, at most {max(found.outages):.1f} s, which"
            f" is at most {max(found.recoveries):.1f} s after another primary was there"
        )


def promotions(rounds: int) -> None:
    """A primary of PostgreSQL that is lost, and its standby promoted."""
    for harm in (test_promotion.kill, test_promotion.freeze):
        found = []
        for _ in range(rounds):
            with Hosts() as both:
                found.append(test_promotion.promote(both, harm))
        lost, changes = sum(one.lost for one in found), sum(one.changes for one in found)
        since_loss = sorted(one.after_loss for one in found)
        since_promotion = sorted(one.after_promotion for one in found)
        console.print(
            f"promotion, {rounds} x {harm.__name__} of the primary: {lost} of {changes:,}"
            f" acknowledged changes lost; both hosts answered again"
            f" {statistics.median(since_promotion):.1f} s after the promotion, at most"
            f" {since_promotion[-1]:.1f} s, and {statistics.median(since_loss):.1f} s after the"
            f" loss, at most {since_loss[-1]:.1f} s"
        )


def lost_hosts(rounds: int) -> None:
    """A host that never comes back."""
    for where in ("spool", "store"):
        with Hosts(LOG_DURABILITY=where) as both:
            losses = []
            for _ in range(rounds):
                losses.append(test_durability.lose_host(both, rate=200, seconds=3))
                both.two.serve()
        console.print(
            f"a lost host, LOG_DURABILITY={where}, {rounds} times:"
            f" {', '.join(str(loss.lost) for loss in losses)} records lost of"
            f" {sum(loss.answered for loss in losses):,} answered requests, at"
            f" {statistics.median(loss.rate for loss in losses):.0f} a second"
        )


def rolling_restarts(rounds: int) -> None:
    """Both hosts restarted in turn under load."""
    ways = {
        "taken out of the balancer": test_rolling_restart.restart_drained,
        "told to stop": test_rolling_restart.restart,
    }
    with Hosts() as both:
        for what, act in ways.items():
            outcomes = Counter[str]()
            for _ in range(rounds):
                outcomes += test_rolling_restart.under_load(both, act)
            failed = {name: count for name, count in outcomes.items() if name != "200"}
            console.print(
                f"rolling restart, {rounds} x both hosts in turn, {what} first,"
                f" {test_rolling_restart.RATE} requests/s: {outcomes.total():,} requests,"
                f" failed: {failed or 0}"
            )


def hosts(scale: float) -> None:
    """Two hosts: what is lost with PostgreSQL's primary, with one of them, and by restarts."""
    rounds = max(1, int(5 * scale))
    promotions(rounds)
    lost_hosts(rounds)
    rolling_restarts(rounds)


def durability(scale: float) -> None:
    """What LOG_DURABILITY=store costs."""
    seconds = max(1.0, 5 * scale)
    for where, threads in (("spool", 4), ("store", 4), ("store", 16)):
        settings = {"LOG_DURABILITY": where, "WEB_THREADS": str(threads)}
        with pair("PostgreSQL with Redis", **settings) as product:
            for callers in (1, 8, 32):
                found = test_durability.speed(product, callers, seconds)
                console.print(
                    f"LOG_DURABILITY={where}, WEB_THREADS={threads}, {callers} callers:"
                    f" {found.rate:.0f} requests/s, median {found.median * 1000:.1f} ms,"
                    f" 99 % within {found.late * 1000:.1f} ms"
                )


RUNS: dict[str, Callable[[float], None]] = {
    "revocation": revocation,
    "limits": exact_limits,
    "crashes": crashes,
    "jobs": jobs,
    "contention": contention,
    "bodies": unfinished_bodies,
    "fuzz": hostile,
    "failover": failover,
    "hosts": hosts,
    "durability": durability,
}


def main() -> None:
    """Run what is named on the command line, or everything; SCALE=0.1 for a tenth of it."""
    scale = float(os.environ.get("SCALE", "1"))
    for name in sys.argv[1:] or RUNS:
        RUNS[name](scale)


if __name__ == "__main__":
    main()
