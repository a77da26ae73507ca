"""Which peppers this database has been used with."""

from django.db import models


class Pepper(models.Model):
    """A pepper's number and a digest made with it, so that another under its number is noticed."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    fingerprint = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Pepper {self.number}"
