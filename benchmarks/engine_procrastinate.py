"""The job of the comparison as a task of Procrastinate, with retries of stalled jobs."""

import os

from procrastinate import App, JobContext, PsycopgConnector

from benchmarks.engine_effects import leave

app = App(connector=PsycopgConnector(conninfo=os.environ.get("DATABASE_URL", "")))


@app.task(name="leave_effects", retry=100)
def leave_effects(job: int, steps: int, seconds: float) -> None:
    leave(job, steps, seconds)


# As its manual has it, each minute instead of every ten.
@app.periodic(cron="* * * * *")
@app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)
