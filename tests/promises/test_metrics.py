"""Metrics say what the request log says, through the death of any process."""

import os
import random
import re
import signal
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import psycopg
import pytest

from tests.promises.test_request_log import LENIENT, crash
from tests.support.product import Latchkey
from tests.support.servers import Postgres, Redis, running, wait_until
from tests.support.services import available

pytestmark = pytest.mark.crash

WEB_THREADS = 4
SETTINGS = {"WEB_CONCURRENCY": "3", "WEB_THREADS": str(WEB_THREADS), **LENIENT}
LOGGED = """
SELECT kind, coalesce(environment, 'none'), coalesce(service, ''),
    CASE code WHEN '' THEN 'ok' ELSE code END, count(*)
FROM logs_requestlog GROUP BY 1, 2, 3, 4
"""
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
Row = tuple[str, str, str, str]


def scraped(product: Latchkey) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return the samples of a scrape by their names."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    answer = httpx.get(product.url + "/metrics", timeout=10)
    assert answer.status_code == 200
    for name, labels, number in SAMPLE.findall(answer.text):
        samples.setdefault(name, []).append((dict(LABEL.findall(labels)), float(number)))
    return samples


def counted(product: Latchkey) -> Counter[Row]:
    samples = scraped(product)
    rows: Counter[Row] = Counter()
    for kind in ("request", "decision"):
        for labels, number in samples.get(f"latchkey_{kind}s_total", []):
            row = kind, labels["environment"], labels.get("service", ""), labels["code"]
            rows[row] += int(number)
    return rows


def logged(product: Latchkey) -> Counter[Row]:
    url = product.environment["DATABASE_URL"]
    if url:
        with psycopg.connect(url) as connection:
            found = connection.execute(LOGGED).fetchall()
    else:
        with sqlite3.connect(product.folder / "latchkey.sqlite3") as file:
            found = file.execute(LOGGED).fetchall()
    # The name of a service that was never looked up is no label.
    rows: Counter[Row] = Counter()
    for kind, environment, service, code, number in found:
        is_confirmed = code != "unknown_service"
        rows[kind, environment, service if is_confirmed else "", code] += number
    return rows


def is_shipped(product: Latchkey) -> bool:
    return scraped(product)["latchkey_spool_unshipped_bytes"] == [({}, 0.0)]


def kill_one_web_process_and_the_worker(product: Latchkey, chance: random.Random) -> None:
    web, worker = product.processes("latchkey-web"), product.processes("latchkey-worker")
    for pid in [chance.choice(web), *worker]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_metrics_count_what_is_on_record_though_processes_are_killed(new_product: Any) -> None:
    answered, _, _ = crash(new_product, kills=1, harm=kill_one_web_process_and_the_worker)
    wait_until(lambda: is_shipped(new_product))

    records, numbers = logged(new_product), counted(new_product)
    assert sum(records.values()) >= answered > 100
    # What a thread had on record and not counted yet when its process was killed.
    assert numbers - records == Counter()
    assert sum((records - numbers).values()) <= WEB_THREADS
    durations = scraped(new_product)["latchkey_guard_duration_seconds_count"]
    assert sum(number for _, number in durations) == sum(numbers.values())

    new_product.stop()
    new_product.serve()

    assert counted(new_product) == numbers


def test_a_scrape_says_what_it_can_while_the_database_is_down() -> None:
    with running(available(Postgres)) as postgres, running(available(Redis)) as redis:
        product = Latchkey(database=postgres.url, redis=redis.url, **SETTINGS)
        with running(product):
            key = product.create_key()["key"]
            for frozen in (False, True):
                if frozen:
                    postgres.freeze()
                else:
                    postgres.stop(signal.SIGQUIT)
                with product.caller(key) as caller:
                    assert caller.get("/api/production/v1/key").status_code == 503
                began = time.monotonic()

                samples = scraped(product)

                assert time.monotonic() - began < 5
                checks = {one["check"]: up for one, up in samples["latchkey_check_up"]}
                assert (checks["database"], checks["counters"]) == (0, 1)
                failed = {"environment": "production", "code": "unavailable"}
                assert failed in [labels for labels, _ in samples["latchkey_requests_total"]]
                assert samples["latchkey_spool_bytes"][0][1] > 0
                if frozen:
                    postgres.thaw()
                else:
                    postgres.start()
                    wait_until(product.is_ready)


def test_calls_to_counters_that_are_down_are_counted() -> None:
    with running(available(Redis)) as redis:
        product = Latchkey(redis=redis.url, **SETTINGS)
        with running(product):
            key = product.create_key()["key"]
            before = scraped(product)["latchkey_limiter_errors_total"][0][1]
            redis.stop(signal.SIGKILL)

            with product.caller(key) as caller:
                assert caller.get("/api/production/v1/key").status_code == 503

            assert scraped(product)["latchkey_limiter_errors_total"][0][1] > before == 0
