"""Services in the one search."""

from collections.abc import Iterator

from backoffice.finding.registry import Found, by_id, finder
from backoffice.finding.terms import Term
from gateway.models import Service


@finder("Services", "name or id", permission="gateway.view_service")
def find_services(term: Term) -> Iterator[Found]:
    for service in by_id(Service.objects.all(), term):
        yield Found(service, service.name, service.description, term.is_whole_id)
    for service in Service.objects.filter(name__icontains=term.text):
        yield Found(service, service.name, service.description)
