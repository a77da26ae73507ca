"""Job types that only tests have: one that counts its effects, and the poisonous ones."""

import os
import re
import time
from typing import Any

from rest_framework import serializers

from apikeys.guard.serializers import StrictSerializer
from customers.models import Customer
from jobs.registry import JobFailed, Step, Steps, Work, job_type


class Params(StrictSerializer):
    """How much to do."""

    steps = serializers.IntegerField(default=1)
    seconds = serializers.FloatField(default=0.0)


def _effect(work: Work, number: int) -> None:
    """Leave a trace that can be counted; nothing makes it unique."""
    name = f"{work.actor.name.rpartition(' ')[2]} {number}"
    Customer.objects.create(environment=work.key.environment, name=name)


@job_type("test.count", params=Params, attempts=100)
def count(work: Work) -> Steps:
    """Do so many steps of so many seconds, each with an effect."""
    steps: int = work.params["steps"]
    for number in range(work.done, steps):
        time.sleep(work.params["seconds"])
        _effect(work, number)
        yield Step(number + 1, steps)
    _effect(work, steps)
    return {"steps": steps}


@job_type("test.nothing", params=Params)
def nothing(work: Work) -> Steps:
    """Do nothing."""
    yield from ()
    return {}


@job_type("test.raise", params=Params, attempts=2)
def fail(work: Work) -> Steps:
    """Fail after an effect that must not stay."""
    yield from ()
    _effect(work, 0)
    raise RuntimeError("lk_prod_AbCdEfGhIjK1_" + "Zx81kQ" * 6 + " cannot\nbe reached")


@job_type("test.refuse", params=Params, attempts=5)
def refuse(work: Work) -> Steps:
    """Fail for good."""
    yield from ()
    raise JobFailed("There is nothing to do. Ask for something else.")


@job_type("test.exit", params=Params, attempts=2)
def leave(work: Work) -> Steps:
    """Take the process along."""
    yield from ()
    _effect(work, 0)
    os._exit(1)


@job_type("test.endless", params=Params, attempts=1, time_limit=2)
def endless(work: Work) -> Steps:
    """Never come back."""
    yield from ()
    while True:
        time.sleep(0.01)


@job_type("test.hold", params=Params, attempts=1)
def hold(work: Work) -> Steps:
    """Hold the interpreter, so that not even a heartbeat gets to run."""
    yield from ()
    _effect(work, 0)
    re.match("(a+)+$", "a" * 64 + "b")


@job_type("test.eat", params=Params, attempts=1)
def eat(work: Work) -> Steps:
    """Take all the memory there is."""
    yield from ()
    eaten: list[Any] = []
    while True:
        eaten.append(bytearray(64 * 1024 * 1024))
