"""Promise: a hand-over link yields one secret, whoever confirms it at once and in which process."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.product import LOTS, Latchkey

ROUNDS = 50
CREDENTIAL = re.compile(r"lk_prod_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


def test_two_recipients_raced_fifty_times_get_one_secret_each_time(latchkey: Latchkey) -> None:
    managing = latchkey.create_key("--permission", "keys:manage", *LOTS)["key"]
    limits = dict.fromkeys(("minute", "hour", "day"), 1000)
    with (
        latchkey.caller(managing) as manager,
        httpx.Client(timeout=10) as one,
        httpx.Client(timeout=10) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        for _ in range(ROUNDS):
            body = {"name": "Raced", "limits": limits, "hand_over": 1}
            made = manager.post("/api/production/v1/keys", json=body).json()

            answers = list(pool.map(lambda who: who.post(made["hand_over_url"]), (one, two)))  # noqa: B023

            shown = [set(CREDENTIAL.findall(answer.text)) for answer in answers]
            (credential,) = set.union(*shown)
            assert sorted(answer.status_code for answer in answers) == [200, 404]
            assert sum(map(bool, shown)) == 1
            with latchkey.caller(credential) as caller:
                assert caller.get("/api/production/v1/key").json()["id"] == made["id"]
