"""What the tests' identity provider says of a person, and how it forges tokens on demand."""

import json
import time
from typing import Any

from jwcrypto import jwk, jwt
from oauth2_provider.oauth2_validators import OAuth2Validator

from tests.support.identity_provider import known, new_key

STRANGER = jwk.JWK.from_pem(new_key().encode())


class Validator(OAuth2Validator):
    """Takes the claims from ``people.json``."""

    oidc_claim_scope = None

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        return dict(known()["people"].get(request.user.username, {}))

    def finalize_id_token(self, id_token: Any, token: Any, handler: Any, request: Any) -> str:
        """Sign an ID token as django-oauth-toolkit does, then break what is to be broken."""
        signed = super().finalize_id_token(id_token, token, handler, request)
        forged = known().get("forged", {})
        if not forged:
            return str(signed)
        claims = dict(id_token) | forged.get("claims", {})
        if "ago" in forged:
            claims["exp"] = int(time.time()) - forged["ago"]
        for name in forged.get("without", ()):
            claims.pop(name, None)
        own = request.client.jwk_key
        header = {"typ": "JWT", "alg": "RS256", "kid": own.thumbprint()} | forged.get("header", {})
        if header["alg"] == "none":
            return _unsigned(header, claims)
        if header["alg"] == "HS256":
            key = jwk.JWK.from_password(forged["secret"])
        else:
            key = STRANGER if forged.get("stranger") else own
        made = jwt.JWT(header=json.dumps(header), claims=json.dumps(claims, default=str))
        made.make_signed_token(key)
        return str(made.serialize())


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (json.dumps(part, default=str).encode() for part in (header, claims))
    return ".".join([*(jwk.base64url_encode(part) for part in parts), ""])
