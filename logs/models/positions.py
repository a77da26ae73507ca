"""How far each spool file has been stored."""

from django.db import models


class SpoolPosition(models.Model):
    """The bytes of a spool file that are stored, committed with the rows they hold.

    So a batch is stored once, whatever is killed, and also when its rows were pruned since.
    """

    file = models.CharField(max_length=60, primary_key=True)
    offset = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.file}: {self.offset}"
