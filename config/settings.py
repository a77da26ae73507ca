"""All settings, read from the environment once; ``make docs`` lists them in the documents.

Names in capitals are Django's or its packages' unless the comment above them says that they
are Latchkey's own.
"""

import importlib.util
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from apikeys.credentials import PREFIX
from apikeys.environments import Environment
from apikeys.limits import Limits, parse_limits, parse_rate, write_limits
from apikeys.peppers import parse_peppers
from config import VERSION, databases, log_config, secret_files
from config.admin_site.unfold import UNFOLD  # noqa: F401 - read by django-unfold
from config.env import Variables, configuration_error, env_file
from database.client_address import is_loopback
from logs.capture.durability import MAX_PATH, SOCKET, SPOOL, STORE
from people.oidc.configuration import check_provider, read_issuer, read_roles

BASE_DIR = Path(__file__).resolve().parent.parent
variables = Variables(env_file(BASE_DIR / ".env") | os.environ)

# Latchkey's own: which version this is.
LATCHKEY_VERSION = VERSION

# --- Latchkey's own: where data lives, and the secrets outside the database ----------------
LATCHKEY_VAR = secret_files.data_folder(
    BASE_DIR,
    variables.text("LATCHKEY_VAR", "var", "Data folder: secrets, SQLite files, request spool."),
)
SECRET_KEY = variables.text(
    "SECRET_KEY", "", "Signs sessions; if not set, generated in `LATCHKEY_VAR` with mode 0600."
) or secret_files.secret_file(LATCHKEY_VAR / "secret_key", secret_files.new_secret_key)
if len(SECRET_KEY) < 32 or len(set(SECRET_KEY)) < 5 or SECRET_KEY.startswith("django-insecure"):
    raise configuration_error(
        "SECRET_KEY",
        "is too short or too plain to sign anything with",
        "Set it to at least 32 random characters, or leave it out to have one made",
    )
try:
    API_KEY_PEPPERS = parse_peppers(
        variables.text(
            "API_KEY_PEPPERS",
            "",
            "`1:hex,2:hex`; the highest number signs, all verify; if not set, as `SECRET_KEY`.",
        )
        or secret_files.secret_file(LATCHKEY_VAR / "peppers", secret_files.new_peppers)
    )
except ValueError as error:
    raise configuration_error(
        "API_KEY_PEPPERS",
        f"cannot be used, {error}",
        "Write it as 1:hex,2:hex with at least 32 hexadecimal digits each",
    ) from None

EXPOSED_SECRET_FILES = secret_files.exposed

LATCHKEY_ADMIN_PASSWORD = variables.text(
    "LATCHKEY_ADMIN_PASSWORD", "", "The first administrator's password; if not set, a random one."
)

# --- Latchkey's own: the public API ----------------------------------------------------------
API_KEY_PREFIX = variables.text("API_KEY_PREFIX", "lk", "First part of every new key.")
if not PREFIX.fullmatch(API_KEY_PREFIX):
    raise configuration_error(
        "API_KEY_PREFIX",
        f"is {API_KEY_PREFIX!r}",
        "Use 1 to 16 lower-case letters and digits, a letter first",
    )
API_ENVIRONMENTS = variables.choices(
    "API_ENVIRONMENTS", Environment.values, "Environments served here; others answer 404."
)
TRUSTED_PROXIES = variables.networks(
    "TRUSTED_PROXIES",
    [],
    "CIDRs of proxies: their `X-Forwarded-…` fields are used, and they may ask for decisions.",
)
BODY_TIMEOUT_SECONDS = variables.number(
    "BODY_TIMEOUT_SECONDS", 10, "Time for a body to arrive; then 408.", least=1, most=3600
)
MAX_BODY_BYTES = variables.number(
    "MAX_BODY_BYTES", 1_048_576, "Larger request bodies are answered 413.", least=1
)
AUTH_FAILURE_LIMIT = variables.parsed(
    "AUTH_FAILURE_LIMIT", parse_rate, "60/min", "401 answers per client address before 429."
)
if not AUTH_FAILURE_LIMIT.limit:
    raise configuration_error("AUTH_FAILURE_LIMIT", "must be at least 1", "Write it as 60/min")
DEFAULT_LIMITS: dict[str, Limits] = {
    environment: variables.parsed(
        f"DEFAULT_LIMITS_{environment.name}",
        partial(parse_limits, base=environment.default_limits),
        write_limits(environment.default_limits),
        f"Limits of {environment.value} keys that set none.",
    )
    for environment in Environment
}

# --- Latchkey's own: the request log ---------------------------------------------------------
LOG_BODIES = variables.choice(
    "LOG_BODIES", ["all", "errors", "none"], "Bodies logged: `all`, `errors` or `none`."
)
LOG_BODY_LIMIT = variables.number(
    "LOG_BODY_LIMIT", 16_384, "Bytes of each body that the request log keeps.", least=0
)
LOG_SPOOL = LATCHKEY_VAR / "spool"
LOG_SPOOL_BYTES = variables.number(
    "LOG_SPOOL_BYTES",
    1_073_741_824,
    "Maximum spool size; while full, requests get 503.",
    least=1_048_576,
    most=2**50,
)
LOG_DURABILITY = variables.choice(
    "LOG_DURABILITY",
    [SPOOL, STORE],
    "Where a record is before its answer leaves: this host's `spool`, or the `store`.",
)
LOG_RETENTION_DAYS = variables.number(
    "LOG_RETENTION_DAYS", 30, "Days that the request log is kept.", least=1, most=36_500
)

# --- Logs of the processes -------------------------------------------------------------------
_log_format = variables.choice(
    "LOG_FORMAT", list(log_config.FORMATS), "Lines on stderr: `text`, or `json`, an object each."
)
LOGGING = log_config.of_django(_log_format)
# Latchkey's own: the web server's.
GRANIAN_LOGGING = log_config.of_granian(_log_format)
LOG_REQUESTS = variables.flag(
    "LOG_REQUESTS", False, "Whether stderr gets a line for each request, pages included."
)

# --- OpenTelemetry's -------------------------------------------------------------------------
OTEL_EXPORTER_OTLP_ENDPOINT = variables.text(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "",
    "Collector of spans, as `http://127.0.0.1:4318`; needs `requirements-otel.lock`.",
).rstrip("/")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    if not re.fullmatch(r"https?://[^\s@?#]+", OTEL_EXPORTER_OTLP_ENDPOINT):
        raise configuration_error(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "is no address of a collector",
            "Write it as http://127.0.0.1:4318, and credentials into OTEL_EXPORTER_OTLP_HEADERS",
        )
    if importlib.util.find_spec("opentelemetry") is None:
        raise configuration_error(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "needs packages that are not installed",
            "Install requirements-otel.lock, or leave it out",
        )

# --- Latchkey's own: metrics -----------------------------------------------------------------
METRICS_FOLDER = LATCHKEY_VAR / "metrics"
METRICS_TOKEN = variables.text(
    "METRICS_TOKEN", "", "Opens `/metrics` from anywhere, sent as Bearer; if not set, nothing does."
)
if METRICS_TOKEN and not 8 <= len(METRICS_TOKEN) <= 1024:
    raise configuration_error(
        "METRICS_TOKEN",
        "has less than 8 or more than 1,024 characters",
        "Set it to what openssl rand -hex 32 prints, or leave it out",
    )
METRICS_NETWORKS = variables.networks(
    "METRICS_NETWORKS",
    ["127.0.0.0/8", "::1/128"],
    "CIDRs from which `/metrics` is answered without a token; `none`: from nowhere.",
)

# --- Latchkey's own: the review queue --------------------------------------------------------
REVIEW_SECRET_AGE_DAYS = variables.number(
    "REVIEW_SECRET_AGE_DAYS", 180, "Age at which a secret is to be renewed.", least=1, most=36_500
)

# --- Latchkey's own: jobs --------------------------------------------------------------------
JOB_CONCURRENCY = variables.number(
    "JOB_CONCURRENCY", 2, "Jobs that a worker runs at once; 0 for none.", least=0, most=64
)
JOB_MEMORY_BYTES = variables.number(
    "JOB_MEMORY_BYTES",
    1_073_741_824,
    "Memory that a job may allocate; beyond it, it fails.",
    least=67_108_864,
    most=2**50,
)
JOB_LEASE_SECONDS = variables.number(
    "JOB_LEASE_SECONDS", 15, "Time without a heartbeat until a job is retried.", least=3, most=3600
)
JOB_TYPE_MODULES = variables.words(
    "JOB_TYPE_MODULES", [], "Python modules with job types of your own (docs/jobs.md)."
)
JOB_RETENTION_DAYS = variables.number(
    "JOB_RETENTION_DAYS", 90, "Days that a job is kept after its end.", least=1, most=36_500
)

# --- Latchkey's own: alerts by e-mail ----------------------------------------------------------
ALERT_RECIPIENTS = variables.mailboxes(
    "ALERT_RECIPIENTS", "Who is mailed of alerts; if not set, only creators, of expiry."
)
ALERT_ERROR_PERCENT = variables.number(
    "ALERT_ERROR_PERCENT", 5, "Share of a key's requests that fail (5xx); 0: no alert.",
    least=0, most=100,
)  # fmt: skip
ALERT_LIMITED_PERCENT = variables.number(
    "ALERT_LIMITED_PERCENT", 20, "Share of a key's requests over its limits; 0: no alert.",
    least=0, most=100,
)  # fmt: skip
ALERT_MIN_REQUESTS = variables.number(
    "ALERT_MIN_REQUESTS", 50, "Requests in an hour or two from which a share counts.", least=1
)
ALERT_REPEAT_HOURS = variables.number(
    "ALERT_REPEAT_HOURS", 24, "Hours until a key's alert of one kind is repeated.",
    least=1, most=8760,
)  # fmt: skip
EXPIRY_NOTICE_RECIPIENTS = variables.mailboxes(
    "EXPIRY_NOTICE_RECIPIENTS", "Who is mailed of expiring keys, besides their creators."
)

# --- E-mail: to the terminal, unless a server is named ---------------------------------------
EMAIL_HOST = variables.host("EMAIL_HOST", "SMTP server; if not set, mail is printed.")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = variables.number("EMAIL_PORT", 587, "Port of the SMTP server.", least=1, most=65_535)
EMAIL_HOST_USER = variables.text("EMAIL_HOST_USER", "", "User name at the SMTP server.")
EMAIL_HOST_PASSWORD = variables.text("EMAIL_HOST_PASSWORD", "", "Password at the SMTP server.")
EMAIL_USE_TLS = variables.flag("EMAIL_USE_TLS", True, "Whether mail is sent with STARTTLS.")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = variables.mailbox(
    "DEFAULT_FROM_EMAIL", "latchkey@localhost", "Sender of mail."
)

# --- Latchkey's own: how it is served --------------------------------------------------------
HOST = variables.text("HOST", "127.0.0.1", "Address to listen on.")
PORT = variables.number("PORT", 8000, "Port to listen on.", least=1, most=65_535)
WEB_CONCURRENCY = variables.number(
    "WEB_CONCURRENCY",
    os.cpu_count() or 1,
    "Web processes.",
    least=1,
    most=512,
    shown="one per core",
)
WEB_THREADS = variables.number("WEB_THREADS", 4, "Threads in each web process.", least=1, most=512)
CSRF_TRUSTED_ORIGINS = variables.words(
    "CSRF_TRUSTED_ORIGINS", [], "Admin origins behind a proxy, as `https://keys.example`."
)
ORIGIN = re.compile(r"https?://(\*\.)?[\w.\-]+(:\d+)?|https?://\[[0-9a-fA-F:]+\](:\d+)?")
for _origin in CSRF_TRUSTED_ORIGINS:
    if not ORIGIN.fullmatch(_origin):
        raise configuration_error(
            "CSRF_TRUSTED_ORIGINS", f"holds {_origin!r}", "Write origins as https://keys.example"
        )
ADMIN_URL = variables.text(
    "ADMIN_URL", "", "The origin of links to Latchkey; if not set, the first trusted origin."
).rstrip("/")
if ADMIN_URL and ("*" in ADMIN_URL or not ORIGIN.fullmatch(ADMIN_URL)):
    raise configuration_error("ADMIN_URL", f"is {ADMIN_URL!r}", "Write it as https://keys.example")
ADMIN_URL = ADMIN_URL or next(
    (origin for origin in CSRF_TRUSTED_ORIGINS if "*" not in origin),
    f"http://{f'[{HOST}]' if ':' in HOST else HOST}:{PORT}",
)
HAND_OVER_CONTACT = variables.text(
    "HAND_OVER_CONTACT", "", "Whom recipients of hand-over links may ask, as `keys@example.com`."
)
HTTPS = variables.flag(
    "HTTPS",
    any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS),
    "Secure cookies and HSTS.",
    shown="on if a trusted origin is https",
)

# --- Latchkey's own: how people sign in ------------------------------------------------------
OIDC_ISSUER = read_issuer(
    variables, "OIDC_ISSUER", "OpenID Connect provider; if not set, passwords alone."
)
OIDC_CLIENT_ID = variables.text("OIDC_CLIENT_ID", "", "Client id at the provider.")
OIDC_CLIENT_SECRET = variables.text("OIDC_CLIENT_SECRET", "", "Client secret at the provider.")
OIDC_GROUPS_CLAIM = variables.text("OIDC_GROUPS_CLAIM", "groups", "Claim that names the groups.")
OIDC_ROLES = read_roles(
    variables, "OIDC_ROLES", "Role of each group, as `keys-admins=Key administrator,ops=superuser`."
)
OIDC_ONLY = variables.flag(
    "OIDC_ONLY", False, "Hides the password form, but for superusers at `/admin/login/?local`."
)
REQUIRE_SECOND_FACTOR = variables.choice(
    "REQUIRE_SECOND_FACTOR",
    ["none", "superusers", "all"],
    "Who must have a second factor: `none`, `superusers` or `all`.",
)
REAUTHENTICATE_MINUTES = variables.number(
    "REAUTHENTICATE_MINUTES", 60, "Age of a proof from which acts that widen ask for another.",
    least=1, most=1440,
)  # fmt: skip
check_provider(OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_ROLES, is_only=OIDC_ONLY)

# --- Storage -----------------------------------------------------------------------------------
_database_url = variables.text(
    "DATABASE_URL",
    "",
    "`postgres://user:password@host:5432/name`, or hosts (docs/scaling.md); if not set, SQLite.",
)
DATABASES = {"default": databases.database(_database_url, LATCHKEY_VAR)}
if LOG_DURABILITY == STORE:
    if DATABASES["default"]["ENGINE"] != databases.POSTGRESQL_ENGINE:
        raise configuration_error(
            "LOG_DURABILITY",
            "is store, which SQLite on the same disk makes no safer",
            "Name a PostgreSQL database in DATABASE_URL, or leave LOG_DURABILITY out",
        )
    if len(os.fsencode(LOG_SPOOL / SOCKET)) > MAX_PATH:
        raise configuration_error(
            "LATCHKEY_VAR",
            f"has a longer path than LOG_DURABILITY=store has room for, {MAX_PATH} bytes in all",
            "Choose a folder with a shorter one",
        )
# Latchkey's own: where the request log is, if not in the database.
LOG_STORE_URL = variables.text(
    "LOG_STORE_URL",
    "",
    "`clickhouse://user:password@host:8123/name` for the request log; if not set, the database.",
)
LOG_STORE_CLUSTER = variables.text(
    "LOG_STORE_CLUSTER", "", "ClickHouse's cluster that replicates the log (docs/scaling.md)."
)
if LOG_STORE_URL:
    DATABASES["log_store"] = databases.log_store(LOG_STORE_URL)
    DATABASE_ROUTERS = ["logs.stores.router.LogRouter"]
if LOG_STORE_URL and LOG_DURABILITY == STORE:
    raise configuration_error(
        "LOG_STORE_URL",
        "cannot be used with LOG_DURABILITY=store",
        "Leave one of them out",
    )
if LOG_STORE_CLUSTER and not re.fullmatch(r"[\w.\-{}]+", LOG_STORE_CLUSTER):
    raise configuration_error(
        "LOG_STORE_CLUSTER", "is no name of a cluster", "Write it as system.clusters names it"
    )
# Latchkey's own: what web processes take instead. A request cannot wait as long as a worker can.
WEB_DATABASE = databases.database(_database_url, LATCHKEY_VAR, web_threads=WEB_THREADS)
# Latchkey's own: where rate limits are counted.
REDIS_URL = databases.redis_url(
    variables.text(
        "REDIS_URL",
        "",
        "`redis://host:6379/0`, a cluster or sentinels (docs/scaling.md); if not set, SQLite.",
    )
)
COUNTER_FILE = LATCHKEY_VAR / "counters.sqlite3"
CACHES = {"default": databases.cache(REDIS_URL, LATCHKEY_VAR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Django ------------------------------------------------------------------------------------
DEBUG = variables.flag("DEBUG", False, "Django's debug mode.")
ALLOWED_HOSTS = variables.words(
    "ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"], "Host names answered; others get 400."
)
for _host in ALLOWED_HOSTS:
    if not re.fullmatch(r"\*|\.?[\w.\-]+|\[[0-9a-fA-F:]+\]", _host):
        raise configuration_error(
            "ALLOWED_HOSTS", f"holds {_host!r}", "Write host names as keys.example.com"
        )
# Latchkey's own: an error page with DEBUG shows the settings and the source, and any Host header
# is believed with a wildcard. On the machine alone both are a developer's; elsewhere a leak.
LATCHKEY_ALLOW_UNSAFE = variables.flag(
    "LATCHKEY_ALLOW_UNSAFE", False, "Allows `DEBUG` and `ALLOWED_HOSTS=*` on a reachable `HOST`."
)
if not (is_loopback(HOST) or LATCHKEY_ALLOW_UNSAFE):
    for _name, _is_unsafe in {"DEBUG": DEBUG, "ALLOWED_HOSTS": "*" in ALLOWED_HOSTS}.items():
        if _is_unsafe:
            raise configuration_error(
                _name,
                f"is unsafe where others reach HOST {HOST!r}",
                f"Change {_name}, set HOST to 127.0.0.1, or set LATCHKEY_ALLOW_UNSAFE=on",
            )
ROOT_URLCONF = "config.urls"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
STORAGES = {"staticfiles": {"BACKEND": "config.server.static_files.VersionedStorage"}}
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
APPEND_SLASH = False

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.LatchkeyAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_ratelimit",
    # Before people, which takes their pages out of the admin.
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "allauth.usersessions",
    "metrics",
    "backoffice",
    "audit",
    "people",
    "apikeys",
    "customers",
    "logs",
    "gateway",
    "explain",
    "jobs",
    "review",
    "handover",
    "provisioning",
    "alerts",
    "operations",
    # Last, so that what it does after a migration finds every other app's permissions.
    "config",
    "django.forms",
]
MIDDLEWARE = [
    "logs.middleware.RequestLogMiddleware",
    "apikeys.guard.middleware.ApiMiddleware",
    # Answers what is under /api/. What follows is for pages.
    "config.admin_site.middleware.AddressMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.server.static_files.StaticFilesMiddleware",
    "config.admin_site.middleware.CompressionMiddleware",
    "config.admin_site.middleware.LiveConnectionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "people.middleware.SessionMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- People: staff accounts, sessions, transport -----------------------------------------------
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Of django-allauth its models, and its OpenID Connect client. None of its pages has an address.
ACCOUNT_ADAPTER = "people.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_ADAPTER = "people.adapters.ProviderAdapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 4
MFA_ADAPTER = "people.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 30 * 86_400 if HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
# Latchkey's own, of pages. Nothing is loaded from elsewhere, nothing is sent elsewhere, and what is
# written into a page is no script and no style: one that shows a secret cannot be made to give it
# away. The admin's Alpine.js evaluates expressions in attributes; Swagger UI evaluates nothing.
_PAGES = (
    "default-src 'self'; script-src 'self'{evaluation}; style-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
CONTENT_SECURITY_POLICY = _PAGES.format(evaluation=" 'unsafe-eval'")
DOCS_CONTENT_SECURITY_POLICY = _PAGES.format(evaluation="")
# Of what is no page: JSON, static files, and the rest under /api/.
API_CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Of what browsers offer, pages use the clipboard and passkeys alone.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture",
        "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection",
        "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
        "screen-wake-lock", "serial", "usb", "window-management", "xr-spatial-tracking",
    )
)  # fmt: skip
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "config.admin_site.error_views.forbidden"
if TRUSTED_PROXIES:
    # config/wsgi.py removes the header unless a trusted proxy sent it.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.W001",  # both caches are shared and count atomically; tests show it
    "security.W005",  # whether sub-domains are all on TLS is not ours to say
    "security.W008",  # the proxy that ends TLS redirects; it may not be told where TLS is
    "security.W021",  # as W005
]

# --- The public API ------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apikeys.guard.authentication.ApiKeyAuthentication"],
    "DEFAULT_THROTTLE_CLASSES": ["apikeys.guard.throttling.KeyThrottle"],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.guard.permissions.HasRequiredPermission"],
    "DEFAULT_PARSER_CLASSES": ["apikeys.guard.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["apikeys.guard.answers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "apikeys.guard.openapi.schema.EndpointSchema",
    "EXCEPTION_HANDLER": "apikeys.guard.problems.handle_exception",
    "URL_FORMAT_OVERRIDE": None,
    "UNICODE_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Latchkey API",
    "VERSION": VERSION,
    "DESCRIPTION": """\
Send a key in every request, as `Authorization: Bearer <key>` or as `X-API-Key: <key>`; an
administrator of this installation creates it. The address names the environment, and a key works
in its own only. `GET /api/{environment}/v1/key` tells what a key may do.

- **Errors** are problem details (RFC 9457). Decide by `code`; `detail` says what to do.
- **Limits** are in the fields `RateLimit-Policy` and `RateLimit`
  (draft-ietf-httpapi-ratelimit-headers-10). After 429 or 503, wait as long as `Retry-After` says.
- **Lists** are newest first. While `has_more` is true, the next page is at `?cursor=<next_cursor>`.
- **Retries** of a `POST` under the same `Idempotency-Key` take effect once.
- **Unknown** fields and query parameters are refused.
- Every answer has an `X-Request-ID`. Name it when you ask about a request.
""",
    # Whoever runs the installation is asked, and allows its use.
    "CONTACT": {"name": "The administrators of this installation"},
    "LICENSE": {
        "name": "As agreed with the operator of this installation",
        "identifier": "LicenseRef-Operator",
    },
    "SERVERS": [{"url": "/", "description": "This installation."}],
    "TAGS": [
        {"name": "key", "description": "What the calling key may do, and what is left of it."},
        {"name": "customers", "description": "The customers that the key reaches."},
        {"name": "licenses", "description": "Licenses, their machines, and their validation."},
        {"name": "telemetry", "description": "Events of customers, and their sums by hour."},
        {"name": "jobs", "description": "Work in the background: run it, follow it, stop it."},
        {"name": "logs", "description": "The requests that were made with the key."},
        {
            "name": "keys",
            "description": "Manages other keys, and decides about requests with them.",
        },
        {"name": "introspect", "description": "What is known of another key (RFC 7662)."},
    ],
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apikeys.guard.openapi.schema.share",
    ],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/{environment}/v1",
    "ENUM_NAME_OVERRIDES": {
        "Environment": "apikeys.environments.Environment",
        "KeyStatus": "apikeys.models.Status",
        "CustomerStatus": "customers.models.CustomerStatus",
        "JobStatus": "jobs.models.JobStatus",
        "LicenseStatus": "customers.models.LicenseStatus",
        "ValidationCode": "customers.licenses.serializers.CODES",
    },
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
