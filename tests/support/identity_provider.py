"""An OpenID Connect provider: django-oauth-toolkit, as a Django process of its own.

``people.json`` in its folder says what it knows of each person, by user name, and how it forges
tokens: a test writes it, and every request reads it anew. Whoever types a name is that person.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command, execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path

FOLDER = Path(os.environ.get("PROVIDER_FOLDER", "."))
PORT = os.environ.get("PROVIDER_PORT", "0")
CLIENT_ID, CLIENT_SECRET = "latchkey", "a secret that the provider and its client share"


def new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def known() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "people.json").read_text())
    return found


def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in whoever is named."""
    from django.contrib.auth import login  # noqa: PLC0415 - needs the apps
    from django.contrib.auth.models import User  # noqa: PLC0415

    if request.method == "POST":
        user, _ = User.objects.get_or_create(username=request.POST["username"])
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return HttpResponseRedirect(request.GET["next"])
    return HttpResponse("<form method=post><input name=username><button>Sign in</button></form>")


def configure() -> None:
    """Set Django up as the provider."""
    settings.configure(
        SECRET_KEY="of the provider " * 3,
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}
        },
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        # Of 127.0.0.1 a browser keeps the cookies of all ports together.
        SESSION_COOKIE_NAME="provider",
        TEMPLATES=[{
            "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True
        }],
        ROOT_URLCONF=__name__,
        LOGIN_URL="/login/",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": (FOLDER / "key.pem").read_text(),
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{PORT}/o",
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "", "profile": "", "email": ""},
            "OAUTH2_VALIDATOR_CLASS": "tests.support.identity_claims.Validator",
        },
    )  # fmt: skip
    django.setup()


urlpatterns: list[Any] = []


def main() -> None:
    (FOLDER / "key.pem").write_text(new_key())
    configure()
    urlpatterns.extend(
        [
            path("login/", sign_in),
            path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        ]
    )
    call_command("migrate", verbosity=0)
    call_command(
        "createapplication", "confidential", "authorization-code",
        "--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET, "--name", "Latchkey",
        "--redirect-uris", os.environ["PROVIDER_CALLBACKS"], "--skip-authorization",
        "--algorithm", "RS256", verbosity=0,
    )  # fmt: skip
    execute_from_command_line(["", "runserver", f"127.0.0.1:{PORT}", "--noreload"])


if __name__ == "__main__":
    # Django and the validator must find this module under its own name.
    sys.modules["tests.support.identity_provider"] = sys.modules[__name__]
    main()
