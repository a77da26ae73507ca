"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path, register_converter

from apikeys.credentials import ID_LENGTH, KEY_ID, PREFIX
from apikeys.environments import TAGS
from provisioning import views


class KeyIdConverter:
    """A key id, alone or as a credential begins: ``lk_prod_<key id>``. The tag is a hint."""

    regex = rf"(?:{PREFIX.pattern}_(?:{'|'.join(TAGS)})_)?{KEY_ID.pattern}"

    @staticmethod
    def to_python(value: str) -> str:
        return value[-ID_LENGTH:]

    @staticmethod
    def to_url(value: str) -> str:
        return value


register_converter(KeyIdConverter, "key")

KEY = "keys/<key:key_id>"

urlpatterns = [
    path("keys", views.KeysView.as_view(), name="keys"),
    path(KEY, views.KeyView.as_view(), name="managed-key"),
    path(f"{KEY}/events", views.KeyEventsView.as_view(), name="key-events"),
    path(f"{KEY}/regenerate", views.RegenerateView.as_view(), name="key-regenerate"),
    path(f"{KEY}/revoke", views.RevokeView.as_view(), name="key-revoke"),
    path(f"{KEY}/activate", views.ActivateView.as_view(), name="key-activate"),
]
