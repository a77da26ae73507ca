"""Problem details (RFC 9457) as the public schema draws them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from apikeys.environments import Environment
from apikeys.guard import problems
from apikeys.problem_codes import CODES


class FieldErrorSerializer(serializers.Serializer[Any]):
    """A field at fault."""

    field = serializers.CharField()
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField(help_text="A URN that ends in the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, and what to do.")
    code = serializers.ChoiceField(sorted(CODES))
    request_id = serializers.UUIDField()
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]
    error_count = serializers.IntegerField(
        required=False,
        help_text=f"How many errors there are; the first {problems.MAX_ERRORS} are named.",
    )
    required_permission = serializers.CharField(required=False)
    required_customer_scope = serializers.CharField(required=False)
    required_customer = serializers.UUIDField(required=False)
    exceeded = serializers.CharField(
        required=False, help_text="The setting by which a key would be more than its manager."
    )
    violated_policies = serializers.ListField(child=serializers.CharField(), required=False)
    key_environment = serializers.ChoiceField(Environment.choices, required=False)
    endpoint_environment = serializers.ChoiceField(Environment.choices, required=False)


def problem_example(code: str) -> OpenApiExample:
    status, title, _ = CODES[code]
    value = {
        "type": f"{problems.TYPE}{code}",
        "title": title,
        "status": status,
        "detail": "What is wrong. What to do.",
        "code": code,
        "request_id": "01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c40",
    }
    return OpenApiExample(
        code, value, response_only=True, status_codes=[str(status)], media_type=problems.MEDIA_TYPE
    )
