"""The page of a link. Its address is also what is masked in every log."""

from django.urls import path, register_converter

from apikeys.credentials import HAND_OVER
from handover import views


class AnyTextConverter:
    """Whatever it is, line ends too: what is no token looks like a link that is used up."""

    regex = r"[\s\S]*"

    @staticmethod
    def to_python(value: str) -> str:
        return value

    @staticmethod
    def to_url(value: str) -> str:
        return value


register_converter(AnyTextConverter, "anytext")

urlpatterns = [path(f"{HAND_OVER[1:]}<anytext:token>", views.hand_over, name="hand-over")]
