"""How far each spool file has been stored."""

from django.db import models


class SpoolPosition(models.Model):
    """How many bytes of a spool file are stored, committed with the rows.

    So a batch is stored once after any crash, even if its rows were pruned since.
    """

    file = models.CharField(max_length=60, primary_key=True)
    offset = models.PositiveBigIntegerField()
    # Where the batch ends that is being stored outside of this database; null while none is.
    fixed_to = models.PositiveBigIntegerField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.file}: {self.offset}"
