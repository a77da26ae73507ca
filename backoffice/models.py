"""What people keep of lists for themselves."""

from django.conf import settings
from django.db import models

from database.uuid7 import new_id

MAX_NAME_LENGTH = 60
MAX_QUERY_LENGTH = 2000


class SavedFilter(models.Model):
    """The filters and the order of a list under a name, for one person."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # As addresses of the admin name it: ``apikeys_apikey``.
    list_name = models.CharField(max_length=100)
    name = models.CharField(max_length=MAX_NAME_LENGTH)
    query = models.CharField(max_length=MAX_QUERY_LENGTH)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["person", "list_name", "name"], name="saved_once")
        ]

    def __str__(self) -> str:
        return self.name
