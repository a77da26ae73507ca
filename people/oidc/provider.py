"""The provider, asked through django-allauth's client: with PKCE, a state and a nonce."""

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from requests import RequestException

from people.oidc import tokens

# What the states of this provider are kept under in a session.
PROVIDER = "oidc"


class ProviderDown(Exception):
    """The provider does not answer, or not as a provider does."""


class SignInRefused(Exception):
    """A sign-in that is not accepted; the message is for the person, ``cause`` for the trail."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause or message


class Claims(NamedTuple):
    """What the provider says of a person, verified."""

    issuer: str
    subject: str
    name: str
    first_name: str
    last_name: str
    email: str
    groups: tuple[str, ...]
    # When the provider last had the person prove who they are, in seconds since 1970.
    proved_at: float


class _Adapter(OpenIDConnectOAuth2Adapter):
    """Knows the one provider from the settings, without asking the database."""

    def get_provider(self) -> Any:
        from_settings = SocialApp(
            provider="openid_connect",
            provider_id=PROVIDER,
            name=PROVIDER,
            client_id=settings.OIDC_CLIENT_ID,
            secret=settings.OIDC_CLIENT_SECRET,
            settings={"server_url": settings.OIDC_ISSUER.rstrip("/")},
        )
        return OpenIDConnectProvider(self.request, app=from_settings)

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return str(request.build_absolute_uri(reverse("admin:oidc_callback")))


def begin(request: HttpRequest, next_url: str, *, is_proof: bool = False) -> str:
    """Return the provider's address that the browser is sent to; what it takes is kept.

    For a proof the provider is asked to have the person sign in there anew.
    """
    adapter = _Adapter(request, PROVIDER)
    pkce = generate_code_challenge()
    nonce = secrets.token_urlsafe(24)
    try:
        authorize = _configuration(adapter)["authorization_endpoint"]
        client = adapter.get_client(request, adapter.get_provider().app)
    except (RequestException, ValueError, KeyError, TypeError) as error:
        raise ProviderDown(str(type(error).__name__)) from error
    verifier = pkce.pop("code_verifier")
    state = {
        "nonce": nonce, "code_verifier": verifier, "next": next_url, "is_proof": is_proof,
    }  # fmt: skip
    client.state = statekit.stash_state(request, provider_id=PROVIDER, state=state)
    scopes = ["openid", "profile", "email"]
    anew = {"prompt": "login", "max_age": "0"} if is_proof else {}
    return str(client.get_redirect_url(authorize, scopes, {**pkce, **anew, "nonce": nonce}))


def state_of(request: HttpRequest) -> dict[str, Any]:
    """Return what was kept of the sign-in that this answer belongs to, and forget it."""
    state: dict[str, Any] | None = statekit.unstash_state(
        request, provider_id=PROVIDER, state_id=request.GET.get("state", "")
    )
    if state is None:
        raise SignInRefused(
            "This sign-in was not begun in this browser, or more than ten minutes ago."
            " Begin it again."
        )
    return state


@sensitive_variables("answer")
def claims(request: HttpRequest, state: dict[str, Any]) -> Claims:
    """Exchange the code for an ID token, and return what it says."""
    if request.GET.get("error") or not request.GET.get("code"):
        raise SignInRefused(
            "The provider did not sign you in. Try again, or ask who runs it.",
            f"The provider answered {request.GET.get('error', 'without a code')!r:.60}.",
        )
    adapter = _Adapter(request, PROVIDER)
    app = adapter.get_provider().app
    try:
        configuration = _configuration(adapter)
        client = adapter.get_client(request, app)
        answer = adapter.get_access_token_data(
            request, app, client, pkce_code_verifier=state["code_verifier"]
        )
        token = tokens.verify(
            str(answer.get("id_token", "")),
            issuer=configuration["issuer"],
            client_id=settings.OIDC_CLIENT_ID,
            nonce=state["nonce"],
            keys=_get(configuration["jwks_uri"]),
        )
        return _read(token, lambda: _user_info(configuration, answer["access_token"]))
    except (RequestException, ValueError, KeyError, TypeError) as error:
        raise ProviderDown(str(type(error).__name__)) from error
    except (OAuth2Error, tokens.TokenRefused) as error:
        is_token = isinstance(error, tokens.TokenRefused)
        raise SignInRefused(
            "What the provider said of you could not be verified."
            " Try again, and tell an operator if it happens again.",
            f"{error}." if is_token else "The provider did not accept the code.",
        ) from None


def _configuration(adapter: _Adapter) -> dict[str, Any]:
    """Return the provider's published addresses, if they are of the issuer that is trusted."""
    configuration: dict[str, Any] = adapter.openid_config
    if configuration["issuer"].rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
        raise ValueError("another issuer")
    return configuration


def _get(address: str, **headers: str) -> dict[str, Any]:
    with get_adapter().get_requests_session() as session:
        response = session.get(address, headers=headers)
        response.raise_for_status()
        answer: Any = response.json()
    if not isinstance(answer, dict):
        raise TypeError(address)
    return answer


def _user_info(configuration: dict[str, Any], access_token: str) -> dict[str, Any]:
    """Return what the provider says besides the ID token, if it has a place for that."""
    address = configuration.get("userinfo_endpoint")
    return _get(address, Authorization=f"Bearer {access_token}") if address else {}


def _read(token: dict[str, Any], user_info: Callable[[], dict[str, Any]]) -> Claims:
    """Return the claims of the ID token, and of the user's information what it lacks."""
    stated = dict(token)
    if settings.OIDC_GROUPS_CLAIM not in token or "email" not in token:
        information = user_info()
        # §5.3.2: information about somebody else must not be used.
        if information and information.get("sub") == token["sub"]:
            stated = information | token
    return Claims(
        issuer=str(token["iss"]),
        subject=token["sub"],
        name=_text(stated, "preferred_username"),
        first_name=_text(stated, "given_name"),
        last_name=_text(stated, "family_name"),
        email=_verified_email(stated),
        groups=_groups(stated),
        proved_at=_number(token, "auth_time"),
    )


def _groups(stated: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the groups: of none, of one as a text, or of a list."""
    name = settings.OIDC_GROUPS_CLAIM
    groups = stated.get(name)
    if groups is None or isinstance(groups, str):
        return (groups,) if groups else ()
    if not isinstance(groups, list):
        raise SignInRefused(
            f"The provider's claim {name} is no list of names. Ask who runs it to send one.",
            f"The claim {name} is no list of names.",
        )
    return tuple(group for group in groups if isinstance(group, str))


def _verified_email(stated: dict[str, Any]) -> str:
    """Return the address, blank if nothing is said of its owner; refuse one that is unverified."""
    verified = stated.get("email_verified")
    if _text(stated, "email") and verified in {False, "false"}:
        raise SignInRefused(
            "The provider has not verified your e-mail address."
            " Verify it there, and sign in again.",
            "The e-mail address is not verified.",
        )
    return _text(stated, "email") if verified in {True, "true"} else ""


def _number(stated: dict[str, Any], name: str) -> float:
    value = stated.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _text(stated: dict[str, Any], name: str) -> str:
    """Return a line that can be stored and shown: without line breaks, NUL or half characters."""
    value = stated.get(name, "")
    text = value if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
