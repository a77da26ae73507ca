"""What is stored: keys and their peppers, the workers' heartbeats, the end of the audit trail."""

from collections.abc import Iterator

from django.conf import settings

from apikeys.checks import known_peppers, used_peppers, wrong_peppers
from apikeys.environments import Environment
from apikeys.models import ApiKey
from audit import chain
from audit.actors import Source
from audit.kinds import subject_of
from audit.models import Event
from jobs.models import Worker
from operations.checkup.findings import Finding, counted

# Of the chain; verify_audit walks the whole.
EVENTS = 1000


def check_peppers() -> Iterator[Finding]:
    for error in wrong_peppers(settings.API_KEY_PEPPERS, used_peppers(), known_peppers()):
        yield Finding("peppers", error.msg, error.hint or "")


def check_expiry() -> Iterator[Finding]:
    """Count what is accepted in production for ever; nobody has the keys of the demo data."""
    lasting = ApiKey.objects.active().filter(environment=Environment.PRODUCTION, expires_at=None)
    made = Event.objects.filter(object_type=subject_of(ApiKey()).type, action="created")
    demo = made.filter(source=Source.SYSTEM, object_id__in=lasting.values("pk"))
    number = lasting.count() - demo.count()
    if number > 0:
        yield Finding(
            "keys-without-expiry",
            f"{counted(number, 'production key')} without expiry.",
            "Run manage.py review_keys --finding no-expiry, and give each an expiry.",
        )


def check_worker() -> Iterator[Finding]:
    if not Worker.objects.alive().exists():
        yield Finding(
            "worker",
            "No worker is running, so requests are not shipped and jobs wait.",
            "Start manage.py serve, or manage.py worker.",
        )


def check_audit() -> Iterator[Finding]:
    fault = chain.verify_end(EVENTS)
    if fault is not None:
        place = f"Event {fault.sequence}" if fault.sequence else f"Event {fault.event}"
        yield Finding(
            "audit",
            f"{place} of the audit trail {fault.problem}.",
            "Run manage.py verify_audit, and compare with a copy of the events.",
        )
