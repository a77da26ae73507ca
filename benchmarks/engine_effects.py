"""What a job of each engine leaves behind: a row for each step, which nothing makes unique."""

import os
import time
from functools import cache
from typing import Any

import psycopg

CREATE = "CREATE TABLE bench_effects (job integer, step integer, at double precision)"
INSERT = "INSERT INTO bench_effects (job, step, at) VALUES (%s, %s, %s)"


@cache
def _connection(process: int) -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def leave(job: int, steps: int, seconds: float) -> None:
    """Do the steps of a job, each committed by itself, as a task of an engine without steps does.

    One task at a time in a process: Celery forks its workers, Procrastinate runs as many.
    """
    connection = _connection(os.getpid())
    for step in range(steps):
        time.sleep(seconds)
        connection.execute(INSERT, (job, step, time.time()))
