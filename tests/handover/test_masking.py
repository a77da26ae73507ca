"""A link is masked wherever a credential would be: in logs, records, messages and stored text."""

import base64
import json
import logging
from urllib.parse import quote

import pytest
from django.test import Client

from apikeys.credentials import mask
from apikeys.texts import clean_text
from config.log_config import MaskingFormatter
from database.refusals import Refused
from logs.capture import redaction

TOKEN = "0123456789abcdefghijABCDEFGHIJzZ0123456789a"
LINK = f"https://keys.example/handover/{TOKEN}"
WRITTEN = {
    "plain": LINK,
    "a path": f"/handover/{TOKEN}",
    "a query": quote(LINK, safe=""),
    "a query in a query": quote(quote(LINK, safe=""), safe=""),
    "escaped slashes": LINK.replace("/", "\\/"),
    "escaped characters": LINK.replace("/", "\\u002f"),
    "cut short": LINK[:-10],
    "in capitals": LINK.replace("handover", "HANDOVER"),
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_token_is_masked_however_its_link_is_written(text: str) -> None:
    masked = mask(f"see {text} and go on")

    assert TOKEN[:16] not in masked
    assert masked.startswith("see ")
    assert masked.endswith("*** and go on")


def test_the_page_of_links_is_named_as_it_is() -> None:
    assert mask("GET /handover/ and /handover/x") == "GET /handover/ and /handover/x"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"key": None, "hand_over_url": LINK}),
        json.dumps({"note": f"see {LINK}"}),
        json.dumps({"n": [{"x": LINK}]}).replace("/", "\\/"),
        f"n={quote(LINK, safe='')}",
        LINK,
        base64.b64encode(LINK.encode()).decode(),
    ],
)
def test_no_body_on_record_holds_a_link(body: str) -> None:
    kept = redaction.body(body.encode(), "application/json")

    assert TOKEN not in kept
    assert base64.b64encode(TOKEN.encode()).decode()[4:-4] not in kept


@pytest.mark.parametrize("name", ["Referer", "X-Note", "Location"])
def test_no_header_on_record_holds_a_link(name: str) -> None:
    assert TOKEN not in redaction.header(name, LINK)


def test_no_line_of_a_log_holds_a_link() -> None:
    record = logging.LogRecord("x", 40, "", 1, "Not Found: %s", (f"/handover/{TOKEN}",), None)

    assert MaskingFormatter().format(record).endswith("Not Found: /handover/***")


def test_a_link_is_refused_as_a_name() -> None:
    with pytest.raises(Refused):
        clean_text(LINK, field="name", longest=200)


@pytest.mark.parametrize(
    "address", [f"/admin/login/?next=/handover/{TOKEN}", f"/x/handover/{TOKEN}"]
)
def test_an_address_that_repeats_a_link_is_refused(address: str) -> None:
    answer = Client().get(address)

    assert answer.status_code == 400
    assert TOKEN not in answer.text
