"""Keys, whom they reach, and the custom permissions that they can be given.

Only ``apikeys.lifecycle`` writes rows, and ``apikeys.catalogue`` those of permissions, except for
the last use. A constraint rules out a customer of another environment.
"""

from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from apikeys import permissions
from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.limits import LIMIT_FIELDS, Limits, in_force
from database import client_address
from database.constraints import SameEnvironment
from database.fields import CaselessName, WordsField
from database.uuid7 import new_id

MAX_LABEL_LENGTH = 100
MAX_DESCRIPTION_LENGTH = 500
MAX_OWNER_LENGTH = 100
MAX_NOTE_LENGTH = 500


class CustomerScope(models.TextChoices):
    """Whether a key reaches every customer of its environment or those it names."""

    ALL = "all", "All customers"
    SELECTED = "selected", "Selected customers"


class Status(models.TextChoices):
    """What the guard would say of a key now: revoked before expired, and that before awaiting.

    A key that awaits its hand-over has no secret yet, and authenticates nothing.
    """

    ACTIVE = "active", "Active"
    AWAITING = "awaiting_hand_over", "Awaiting hand-over"
    INACTIVE = "inactive", "Inactive"
    EXPIRED = "expired", "Expired"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys by status, permission, use and expiry."""

    def in_force(self) -> Self:
        """Keys that are neither revoked nor expired, those that await their hand-over too."""
        return self.filter(revoked_at=None).exclude(expires_at__lte=timezone.now())

    def active(self) -> Self:
        return self.in_force().filter(is_awaiting=False)

    def awaiting(self) -> Self:
        """Keys that have no secret before their hand-over."""
        return self.in_force().filter(is_awaiting=True)

    def inactive(self) -> Self:
        return self.exclude(revoked_at=None)

    def expired(self) -> Self:
        """Keys past their expiry that were not revoked."""
        return self.filter(revoked_at=None, expires_at__lte=timezone.now())

    def with_status(self, status: str) -> Self:
        """Keys of one status; raises ``KeyError`` for a word that is none."""
        return {
            Status.ACTIVE.value: self.active,
            Status.AWAITING.value: self.awaiting,
            Status.INACTIVE.value: self.inactive,
            Status.EXPIRED.value: self.expired,
        }[status]()

    def granted(self, permission: str) -> Self:
        return self._having("permissions", permission)

    def tagged(self, tag: str) -> Self:
        return self._having("tags", tag)

    def owned_by(self, owner: str) -> Self:
        return self.filter(owner=owner)

    def never_used(self) -> Self:
        return self.filter(last_used_at=None)

    def idle_since(self, timestamp: datetime) -> Self:
        return self.filter(created_at__lt=timestamp).exclude(last_used_at__gte=timestamp)

    def visible_to(self, key: "ApiKey") -> Self:
        """Keys of the environment of ``key`` that reach no customer that it does not."""
        rows = self.filter(environment=key.environment)
        if key.is_scoped:
            strangers = KeyCustomer.objects.filter(environment=key.environment).exclude(
                customer_id__in=key.scope.values("customer_id")
            )
            rows = rows.filter(customer_scope=CustomerScope.SELECTED)
            rows = rows.exclude(pk__in=strangers.values("key_id"))
        return rows

    def reaching(self, customer_id: UUID) -> Self:
        """Keys that reach a customer, by name or because they reach all."""
        scopes = KeyCustomer.objects.filter(customer_id=customer_id)
        return self.filter(Q(customer_scope=CustomerScope.ALL) | Q(pk__in=scopes.values("key_id")))

    def expiring_before(self, timestamp: datetime) -> Self:
        return self.active().filter(expires_at__lt=timestamp)

    def _having(self, field: str, word: str) -> Self:
        """Keys with ``word`` among the words of a field, whole: one may be part of another."""
        words = Concat(Value(" "), field, Value(" "), output_field=models.TextField())
        return self.alias(**{field + "_words": words}).filter(
            **{f"{field}_words__contains": f" {word} "}
        )


_own_limits = attrgetter(*LIMIT_FIELDS)

# The one reference to a higher app: whom a scoped key reaches.
CUSTOMER = "customers.Customer"


class ApiKey(models.Model):
    """A key. Its primary key is the public key id that admin, logs and commands show."""

    id = models.CharField("key id", primary_key=True, max_length=12, editable=False)
    name = models.CharField(max_length=100)
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    permissions = WordsField()
    customer_scope = models.CharField(
        max_length=8, choices=CustomerScope, default=CustomerScope.ALL
    )
    customers: "models.ManyToManyField[Any, KeyCustomer]" = models.ManyToManyField(
        CUSTOMER, through="KeyCustomer", related_name="api_keys", blank=True
    )
    limit_minute = models.PositiveIntegerField("per minute", null=True, blank=True)
    limit_hour = models.PositiveIntegerField("per hour", null=True, blank=True)
    limit_day = models.PositiveIntegerField("per day", null=True, blank=True)
    networks = WordsField()
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    # For those who administer: the key's holder is not told.
    tags = WordsField()
    owner = models.CharField(max_length=MAX_OWNER_LENGTH, blank=True)
    note = models.CharField(max_length=MAX_NOTE_LENGTH, blank=True)
    revoked_at = models.DateTimeField("revoked", null=True, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, editable=False)
    last_used_agent = models.CharField(max_length=400, blank=True, editable=False)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )
    # Whether it has no secret yet, and the pending hand-over by which the next one may be made:
    # a row of ``handover``.
    is_awaiting = models.BooleanField("awaiting hand-over", default=False, editable=False)
    hand_over_id = models.UUIDField(null=True, editable=False)
    # Optimistic lock: a form that was opened before another change is refused.
    revision = models.PositiveIntegerField(default=1, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    # Labels of custom permissions by code; set by ``catalogue.with_labels``.
    custom_labels: Mapping[str, str] = MappingProxyType({})

    class Meta:
        verbose_name = "API Key"
        verbose_name_plural = "API Keys"
        ordering = ["-created_at", "id"]
        default_permissions = ("add", "change", "view")
        permissions = [
            ("regenerate_apikey", "Can regenerate the secret of an API key"),
            ("revoke_apikey", "Can revoke an API key"),
            ("activate_apikey", "Can activate a revoked API key"),
            ("narrow_apikey", "Can remove permissions and lower limits of an API key"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["id", "environment"], name="apikey_id_environment"),
            models.CheckConstraint(
                condition=Q(environment__in=Environment.values), name="apikey_environment"
            ),
            models.CheckConstraint(
                condition=Q(customer_scope__in=CustomerScope.values), name="apikey_customer_scope"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "id"], name="apikey_newest"),
            models.Index(fields=["environment", "-created_at"], name="apikey_by_environment"),
            models.Index(fields=["expires_at"], name="apikey_expiry"),
            # Counts keys by status: the front page and each scrape of metrics do.
            models.Index(
                fields=["environment", "revoked_at", "expires_at", "is_awaiting"],
                name="apikey_by_status",
            ),
            models.Index(
                fields=["environment"], name="apikey_awaiting", condition=Q(is_awaiting=True)
            ),
            models.Index(CaselessName("name"), name="apikey_by_name"),
            models.Index(fields=["owner", "-created_at"], name="apikey_by_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    def is_expired(self, now: datetime | None = None) -> bool:
        """Whether ``expires_at`` has come."""
        return self.expires_at is not None and self.expires_at <= (now or timezone.now())

    @property
    def status(self) -> Status:
        if self.is_revoked:
            return Status.INACTIVE
        if self.is_expired():
            return Status.EXPIRED
        return Status.AWAITING if self.is_awaiting else Status.ACTIVE

    @property
    def is_scoped(self) -> bool:
        """Whether the key has access to selected customers only, possibly none."""
        return self.customer_scope != CustomerScope.ALL

    @property
    def limits(self) -> Limits:
        return in_force(_own_limits(self), settings.DEFAULT_LIMITS[self.environment])

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def allows_address(self, address: str) -> bool:
        return client_address.is_allowed(address, self.networks)

    @property
    def permission_labels(self) -> list[str]:
        return [
            self.custom_labels.get(code) or permissions.label(code) for code in self.permissions
        ]

    @property
    def permission_summary(self) -> str:
        """The first two labels and how many more: ``License Management, Job Run +2``."""
        names = self.permission_labels
        more = f" +{len(names) - 2}" if len(names) > 2 else ""
        return ", ".join(names[:2]) + more if names else "None"


class CustomPermission(models.Model):
    """A permission beside those built in, for the rules of services. Its code stays."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    code = models.CharField(max_length=permissions.MAX_CODE_LENGTH, unique=True)
    label = models.CharField(max_length=MAX_LABEL_LENGTH)
    description = models.CharField(max_length=MAX_DESCRIPTION_LENGTH, blank=True)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)

    class Meta:
        verbose_name = "permission"
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                # A blank would make two codes of it where keys hold it.
                condition=Q(code__contains=":") & ~Q(code__contains=" ") & ~Q(label=""),
                name="permission_parts",
            )
        ]

    def __str__(self) -> str:
        return self.code


class KeyCustomer(models.Model):
    """A customer that a scoped key may reach."""

    # The unique constraint's index begins with the key, so it needs none of its own.
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="scope", db_index=False)
    customer: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        CUSTOMER, on_delete=models.CASCADE, related_name="key_scopes"
    )
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "customer"], name="keycustomer_once"),
            SameEnvironment(field="key", name="keycustomer_key_environment"),
            SameEnvironment(field="customer", name="keycustomer_customer_environment"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} reaches {self.customer_id}"


def customer_model() -> type[models.Model]:
    return KeyCustomer._meta.get_field("customer").related_model
