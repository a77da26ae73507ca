"""The job of the comparison as a type of Latchkey's own jobs."""

import time

from django.db import connection
from rest_framework import serializers

from apikeys.guard.serializers import StrictSerializer
from benchmarks.engine_effects import INSERT
from jobs.registry import Step, Steps, Work, job_type


class Params(StrictSerializer):
    """Which job, and how much to do."""

    job = serializers.IntegerField()
    steps = serializers.IntegerField()
    seconds = serializers.FloatField()


@job_type("bench.effects", params=Params, attempts=100)
def leave_effects(work: Work) -> Steps:
    """Leave an effect for each step."""
    steps = work.params["steps"]
    for step in range(work.done, steps):
        time.sleep(work.params["seconds"])
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [work.params["job"], step, time.time()])
        yield Step(step + 1, steps)
    return {}
