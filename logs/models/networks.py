"""The networks that keys were sent from; ``logs.retention`` forgets those long unused."""

from typing import Any

from django.db import models

from apikeys.models import ApiKey

# As ``str`` of a network writes it; an IPv6 /48 has at most 19 characters.
MAX_NETWORK_LENGTH = 43


class KeyNetwork(models.Model):
    """A network that a key was sent from: since when with success, and when last in vain."""

    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, db_index=False, related_name="known_networks"
    )
    network = models.CharField(max_length=MAX_NETWORK_LENGTH)
    # The key was accepted.
    first_used_at = models.DateTimeField(null=True)
    # The day alone, or every batch of requests would write it.
    last_used_at = models.DateTimeField(null=True)
    # The key was revoked, and its secret right.
    refused_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key", "network"], name="key_network_once")]
        indexes = [
            models.Index(fields=["first_used_at"], name="key_network_by_first_use"),
            models.Index(fields=["refused_at"], name="key_network_by_refusal"),
            models.Index(fields=["last_used_at"], name="key_network_by_last_use"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} from {self.network}"
