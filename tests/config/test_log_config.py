"""What reaches the terminal."""

import logging

from apikeys import credentials
from apikeys.environments import Environment
from config.log_config import MaskingFormatter

SECRET = "0123456789abcdefghijABCDEFGHIJzZ"
CREDENTIAL = credentials.compose("lk", Environment.PRODUCTION, "A1b2C3d4E5f6", SECRET)


def test_a_credential_is_masked_in_message_arguments_and_traceback() -> None:
    try:
        raise RuntimeError(f"no such path /{CREDENTIAL}")
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", 40, "", 1, "Not Found: %s", (f"/api/{CREDENTIAL}",), info)

    line = MaskingFormatter().format(record)

    assert "A1b2C3d4E5f6_***" in line
    assert SECRET[:4] not in line
