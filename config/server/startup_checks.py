"""Whether the server can listen; the other startup checks are Django system checks."""

import errno
import socket

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def check_address() -> None:
    host, port = settings.HOST, settings.PORT
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ImproperlyConfigured(
            f"HOST is {host!r}, which is no address of this machine."
            " Set it to 127.0.0.1 or 0.0.0.0."
        ) from None
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ImproperlyConfigured(
                    f"PORT {port} is in use. Stop what listens there, or set PORT to another."
                ) from None
            raise ImproperlyConfigured(
                f"HOST {host} with PORT {port} cannot be listened on, {error.strerror}."
                " Set HOST to an address of this machine and PORT above 1023."
            ) from None
