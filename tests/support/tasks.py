"""Tasks as other apps have them, and what they leave behind."""

import sys
import time
from typing import Any

from django.db import connection
from django.db.utils import OperationalError
from django_tasks import TaskContext, task

from customers.models import Customer
from jobs.registry import Step, Steps
from jobs.tasks.running import JobContext
from tests.support.factories import make_customer

# Of the database: it may say what a row holds.
MESSAGE = "server closed the connection unexpectedly"


# What a test has a task return or say: not every value can be an argument.
value: Any = None


@task()
def add(first: int, second: int = 0) -> int:
    return first + second


@task()
async def add_later(first: int) -> int:
    return first + 1


@task()
def echo(given: Any) -> Any:
    return given


@task()
def give() -> Any:
    make_customer(name="a gift")
    return value


@task()
def fail(text: str) -> None:
    make_customer(name="before the failure")
    raise ValueError(f"{text}{value or ''}")


@task()
def leave() -> None:
    sys.exit("enough")


@task(takes_context=True)
def tell(context: TaskContext) -> list[Any]:
    return [context.task_result.id, context.attempt]


@task()
def is_in_a_transaction() -> bool:
    return connection.in_atomic_block


@task(takes_context=True)
def count(context: JobContext, steps: int) -> Steps:
    """Leave a customer for each step; the first attempt loses the database within its third."""
    for number in range(context.done, steps):
        make_customer(name=f"step {number}")
        if number == 2 and context.attempt == 1:
            raise OperationalError(MESSAGE)
        yield Step(number + 1, steps, state={"last": f"{number}\x00"})
    return {"done": steps, "last": context.state.get("last")}


def names() -> list[str]:
    return sorted(Customer.objects.values_list("name", flat=True))


@task(takes_context=True)
def step_slowly(context: JobContext, steps: int) -> Steps:
    """Leave a customer for each step, in its transaction."""
    for number in range(context.done, steps):
        time.sleep(0.1)
        make_customer(name=f"{context.task_result.id} {number}")
        yield Step(number + 1, steps)


@task(takes_context=True)
def go_through_slowly(context: TaskContext, steps: int) -> None:
    """Leave a customer for each step, each committed by itself."""
    for number in range(steps):
        time.sleep(0.1)
        make_customer(name=f"{context.task_result.id} {number}")
