"""The endpoints of keys: a key that manages others, within what it has itself."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.answers import represent
from apikeys.guard.context import context_of
from apikeys.guard.serializers import PageQuery
from apikeys.guard.views import GuardedView, endpoint
from apikeys.models import ApiKey
from apikeys.models.rights import rights_of
from apikeys.permissions import Permission
from apikeys.serializers import ManagedKeySerializer, with_scope
from apikeys.validation import KeyFields
from audit.models import Event
from database.client_address import client_address
from handover.lifecycle import Terms
from provisioning import changes
from provisioning.changes import Caller, Given
from provisioning.serializers import (
    IssuedKeySerializer,
    KeyEventSerializer,
    KeyInput,
    KeyQuery,
    NewKeyInput,
    RegenerateInput,
    RevokeInput,
    settings_of,
    terms_of,
)

# Never in an idempotency record.
GIVEN_ONCE = ("key", "hand_over_url")


class _KeysView(GuardedView):
    """Answers keys, and says who calls."""

    @property
    def caller(self) -> Caller:
        return Caller(
            self.key.pk,
            self.key.environment,
            client_address(self.request.META, settings.TRUSTED_PROXIES),
            context_of(self.request),
            self.actor,
        )

    def tag_of(self, row: ApiKey) -> str:
        return f'"{row.pk}-{row.revision:x}"'

    def answer(self, key: ApiKey, status: int = 200, **headers: str) -> Response:
        shown = represent(ManagedKeySerializer, key)
        return self.tagged(shown, status, ETag=self.tag_of(key), **headers)

    def answer_once(self, given: Given, status: int = 200, **headers: str) -> Response:
        """Answer a key with its credential or link, which no other answer and no record has."""
        response = self.answer(given.key, status, **headers)
        response.data["key"] = given.credential
        if given.hand_over_url is not None:
            response.data["hand_over_url"] = given.hand_over_url
        return response


class KeysView(_KeysView):
    """The keys that a key may see."""

    chosen: KeyFields
    terms: Terms | None

    def resolve_target(self) -> bool:
        self.chosen = settings_of(self.body)
        changes.check_new(self.key, self.chosen)
        self.terms = terms_of(self.body)
        return True

    @endpoint(
        Permission.KEYS_READ,
        "List keys",
        query=KeyQuery,
        response=ManagedKeySerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of keys, newest first; of a key for selected customers, those within."""
        return self.page(with_scope(ApiKey.objects.visible_to(self.key)))

    @endpoint(
        Permission.KEYS_MANAGE,
        "Create a key",
        body=NewKeyInput,
        response=IssuedKeySerializer,
        status=201,
        has_etag=True,
        idempotent=True,
        given_once=GIVEN_ONCE,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Create a key that may do no more than the calling key, and answer its credential once.

        With `hand_over` the answer has a link in its place, and the key no secret yet.
        """
        given = changes.create(self.caller, self.chosen, self.terms)
        return self.answer_once(given, 201, Location=f"{request.path}/{given.key.pk}")


class KeyView(_KeysView):
    """One key."""

    @endpoint(Permission.KEYS_READ, "Show a key", response=ManagedKeySerializer, has_etag=True)
    def get(self, request: Request, environment: str, key_id: str) -> Response:
        return self.answer(get_object_or_404(ApiKey.objects.visible_to(self.key), pk=key_id))

    @endpoint(
        Permission.KEYS_MANAGE,
        "Change a key",
        body=KeyInput,
        response=ManagedKeySerializer,
        has_etag=True,
        problems=("conflict",),
    )
    def patch(self, request: Request, environment: str, key_id: str) -> Response:
        """Change what the body names and keep the rest.

        The whole key must then be within what the calling key has.
        """
        chosen = settings_of(self.body)
        return self.answer(
            changes.update(self.caller, key_id, chosen, precondition=self.require_match)
        )


class KeyEventsView(_KeysView):
    """What was done to a key."""

    @endpoint(
        Permission.KEYS_READ,
        "List the events of a key",
        query=PageQuery,
        response=KeyEventSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str, key_id: str) -> Response:
        """Answer a page of the key's audit trail, newest first.

        A key for selected customers is not told which customers the other reached before.
        """
        key = get_object_or_404(ApiKey.objects.visible_to(self.key), pk=key_id)
        return self.page(Event.objects.about(key), prepare=_hide_customers)


def _hide_customers(events: Iterable[Event], key: ApiKey) -> None:
    for event in events:
        if key.is_scoped:
            event.changes.pop("customers", None)


class _MoveView(_KeysView):
    """Changes what a key is good for, once under an ``Idempotency-Key``."""

    gives = True

    def resolve_target(self) -> bool:
        keys = ApiKey.objects.filter(environment=self.key.environment)
        key = get_object_or_404(keys, pk=self.kwargs["key_id"])
        changes.check_touched(self.key, key)
        if self.gives:
            changes.check_given(self.key, rights_of(key))
        return True


_move = partial(
    endpoint,
    Permission.KEYS_MANAGE,
    has_etag=True,
    idempotent=True,
    problems=("conflict",),
)


class RegenerateView(_MoveView):
    """Gives a key a new secret."""

    terms: Terms | None

    def resolve_target(self) -> bool:
        may_replay = super().resolve_target()
        self.terms = terms_of(self.body)
        return may_replay

    @_move(
        "Regenerate a key",
        body=RegenerateInput,
        response=IssuedKeySerializer,
        given_once=GIVEN_ONCE,
    )
    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Give the key a new secret, and answer its credential once.

        With `hand_over` the answer has a link in its place, and the old secret goes on until the
        recipient confirms.
        """
        given = changes.regenerate(
            self.caller,
            key_id,
            overlap=timedelta(seconds=self.body["overlap"]),
            precondition=self.require_match,
            terms=self.terms,
        )
        return self.answer_once(given)


class RevokeView(_MoveView):
    """Revokes a key."""

    gives = False

    @_move("Revoke a key", body=RevokeInput, response=ManagedKeySerializer)
    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Have the key refused from the next request on; activate undoes it."""
        reason: Any = self.body["reason"]
        return self.answer(
            changes.revoke(self.caller, key_id, reason=reason, precondition=self.require_match)
        )


class ActivateView(_MoveView):
    """Undoes a revoke."""

    @_move("Activate a key", response=ManagedKeySerializer)
    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Have the key accepted again."""
        return self.answer(changes.activate(self.caller, key_id, precondition=self.require_match))
