"""Verifies ID tokens (OpenID Connect Core 1.0 §3.1.3.7), and that strictly.

django-allauth would take the token of the code flow without its signature, and asks for no nonce.
Here every token needs a signature by a key that the provider publishes under the token's key id,
this client as its audience, a time before its expiry, and the nonce of this very sign-in.
"""

from collections.abc import Mapping
from typing import Any

from allauth.core.internal.deferred import jwt
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

# A symmetric algorithm would make whoever knows the client secret, or a published key, an issuer.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
LEEWAY_SECONDS = 30


class TokenRefused(Exception):
    """An ID token that proves nothing; the message says of it what is wrong, for the log."""


@sensitive_variables("token")
def verify(
    token: str, *, issuer: str, client_id: str, nonce: str, keys: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the claims of a token; raise ``TokenRefused`` if any rule is broken.

    ``keys`` is the provider's JSON Web Key Set.
    """
    try:
        header = jwt.get_unverified_header(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_key(header, keys),
            algorithms=[header["alg"]],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED},
        )
    except jwt.PyJWTError as error:
        raise TokenRefused(str(error)) from None
    if not constant_time_compare(str(claims["nonce"]), nonce):
        raise TokenRefused("The nonce is another sign-in's")
    if claims.get("azp", client_id) != client_id or (
        isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
    ):
        raise TokenRefused("The token was issued to another client")
    if not (isinstance(claims["sub"], str) and claims["sub"]):
        raise TokenRefused("The subject is blank")
    return claims


def _key(header: Mapping[str, Any], keys: Mapping[str, Any]) -> Any:
    """Return the published key that the token names."""
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise TokenRefused("The algorithm is not accepted")
    listed = [key for key in keys.get("keys", ()) if key.get("use", "sig") == "sig"]
    if key_id is None and len(listed) == 1:
        # A key id is required only where there are several keys (§10.1).
        key_id = listed[0].get("kid")
    for key in listed:
        if key.get("kid") == key_id and key.get("alg", algorithm) == algorithm:
            return jwt.PyJWK(key, algorithm=algorithm).key
    raise TokenRefused("The key id is unknown")
