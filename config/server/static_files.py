"""Static files: named after what all of them hold, compressed when first asked for.

An address is ``/static/<version>/<path>``, where the version is a digest of every static file. So
an answer may be kept for good, and an address in a stylesheet, relative to it, needs no rewriting.
Nothing is collected or written: there is no step between new code and a start.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders, storage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from whitenoise.middleware import WhiteNoiseMiddleware

from config.server.compression import MIN_BYTES, accepted_coding, compress

VERSION_BYTES = 8
VERSIONED = re.compile(rf"[0-9a-f]{{{VERSION_BYTES * 2}}}/")
KEPT_FOR_GOOD = "max-age=31536000, public, immutable"
COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg+xml")
# What is larger is sent by its path, as fonts and pictures are.
MAX_BYTES = 2 * 1024 * 1024
# Whole, in part, or known already.
SENT = frozenset({200, 206, 304})


@cache
def version() -> str:
    """Return the digest of all static files, made before the web processes are forked."""
    digest = hashlib.sha256()
    for finder in finders.get_finders():
        for path, files in sorted(finder.list(None), key=lambda file: file[0]):
            with Path(files.path(path)).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            digest.update(path.encode() + b"\0" + content)
    return digest.hexdigest()[: VERSION_BYTES * 2]


class VersionedStorage(storage.StaticFilesStorage):
    """Names files after their version; while they are edited, with ``DEBUG``, by their path."""

    def url(self, name: str | None) -> str:
        return super().url(name if settings.DEBUG else f"{version()}/{name}")


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, with versions and compression.

    A page of another version, of a host that is upgraded sooner or later than this one, gets the
    file of that name that is here. It may keep that for a minute only.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._compressed: dict[tuple[str, str, str], bytes] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path, asked_version = request.path_info, ""
        if path.startswith(self.static_prefix):
            name = path.removeprefix(self.static_prefix)
            if VERSIONED.match(name):
                asked_version, _, name = name.partition("/")
                path = self.static_prefix + name
        file = self.find_file(path) if self.autorefresh else self.files.get(path)
        if file is None:
            response: HttpResponseBase = self.get_response(request)
            return response
        response = self._respond(file, request)
        is_named = asked_version and not settings.DEBUG and asked_version == version()
        if is_named and response.status_code in SENT:
            response["Cache-Control"] = KEPT_FOR_GOOD
        return response

    def _respond(self, file: Any, request: HttpRequest) -> HttpResponseBase:
        """Send a file by its path, or what it is compressed to."""
        path, listed = file.get_path_and_headers({})
        headers = dict(listed)
        is_compressible = headers["Content-Type"].startswith(COMPRESSIBLE) and (
            MIN_BYTES <= int(headers["Content-Length"]) <= MAX_BYTES
        )
        accepted = accepted_coding(request.headers.get("Accept-Encoding", ""))
        coding = accepted if is_compressible and request.method in {"GET", "HEAD"} else None
        # A strong ETag is of one sequence of bytes (RFC 9110 §8.8.3.3).
        etag = file.etag if coding is None else f'{file.etag[:-1]}-{coding}"'
        _compare(request, file, etag)
        if coding is None or file.is_not_modified(request.META):
            response: HttpResponseBase = self.serve(file, request)
        else:
            # All is sent to who asks for a range too: a range of the file as it is does not
            # continue a compressed one.
            content = self._content(path, file.etag, coding)
            headers |= {"Content-Length": str(len(content)), "Content-Encoding": coding}
            response = HttpResponse(b"" if request.method == "HEAD" else content, headers=headers)
        if response.status_code in SENT:
            response["ETag"] = etag
        if is_compressible:
            patch_vary_headers(response, ["Accept-Encoding"])
        return response

    def _content(self, path: str, etag: str, coding: str) -> bytes:
        # A file that changed, with DEBUG, has another ETag.
        key = (etag, path, coding)
        if key not in self._compressed:
            self._compressed[key] = compress(Path(path).read_bytes(), coding)
        return self._compressed[key]


def _compare(request: HttpRequest, file: Any, etag: str) -> None:
    """Tell WhiteNoise, which compares one ETag to that of the file as it is, what was asked.

    ``If-None-Match`` compares weakly, ``If-Range`` strongly (RFC 9110 §13.1).
    """
    named = request.headers.get("If-None-Match")
    if named is not None:
        tags = {tag.removeprefix("W/") for tag in parse_etags(named)}
        request.META["HTTP_IF_NONE_MATCH"] = file.etag if tags & {etag, "*"} else ""
    if request.headers.get("If-Range", etag) != etag:
        request.META.pop("HTTP_RANGE", None)
