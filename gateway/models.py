"""Services and their rules. Rows are written by ``gateway.lifecycle`` alone.

``Service.revision`` goes up with every change of the service or its rules, in the same
transaction: what was read of a revision never changes.
"""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apikeys.permissions import MAX_CODE_LENGTH
from database.fields import WordsField
from database.uuid7 import new_id
from gateway.patterns import MAX_PATTERN_LENGTH
from gateway.rules import MAX_COST, SERVICE_NAME, RuleLine

MAX_NAME_LENGTH = 40
MAX_DESCRIPTION_LENGTH = 500


class Service(models.Model):
    """An API that Latchkey guards from outside. Proxies know it by its name, which stays."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(
        max_length=MAX_NAME_LENGTH,
        unique=True,
        validators=[
            RegexValidator(
                rf"\A{SERVICE_NAME.pattern}\Z",
                "This is not a name for a service. Use a-z, 0-9 and -, a letter first.",
            )
        ],
    )
    description = models.CharField(max_length=MAX_DESCRIPTION_LENGTH, blank=True)
    is_enabled = models.BooleanField("enabled", default=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    updated_at = models.DateTimeField("updated", auto_now=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="service_name"),
            models.CheckConstraint(condition=Q(revision__gte=1), name="service_revision"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def rule_lines(self) -> tuple[RuleLine, ...]:
        return tuple(rule.line for rule in self.rules.all())


class Rule(models.Model):
    """A rule, in its place among those of its service."""

    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, related_name="rules", db_index=False
    )
    position = models.PositiveSmallIntegerField()
    methods = WordsField()
    path = models.CharField(max_length=MAX_PATTERN_LENGTH)
    needs = models.CharField(max_length=MAX_CODE_LENGTH, db_index=True)
    cost = models.PositiveSmallIntegerField(default=1)

    class Meta:
        default_permissions = ()
        ordering = ["service", "position"]
        constraints = [
            models.UniqueConstraint(fields=["service", "position"], name="rule_position"),
            models.CheckConstraint(condition=Q(cost__range=(1, MAX_COST)), name="rule_cost"),
            models.CheckConstraint(
                condition=Q(path__startswith="/") & ~Q(methods="") & ~Q(needs=""), name="rule_parts"
            ),
        ]

    def __str__(self) -> str:
        return str(self.line)

    @property
    def line(self) -> RuleLine:
        return RuleLine(self.methods, self.path, self.needs, self.cost)
