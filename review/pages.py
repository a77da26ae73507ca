"""The app's pages below the admin's address; the admin site adds them to its own."""

from collections.abc import Callable

from django.http import HttpResponse

from review.dismiss_page import bring_back, dismiss
from review.edit_page import edit
from review.propose_page import propose
from review.queue_pages import queue

Page = tuple[str, Callable[..., HttpResponse], str]
PAGES: list[Page] = [
    ("apikeys/apikey/edit/", edit, "apikeys_apikey_edit"),
    ("apikeys/apikey/propose/", propose, "apikeys_apikey_propose"),
    ("apikeys/apikey/dismiss/", dismiss, "apikeys_apikey_dismiss"),
    ("apikeys/apikey/bring-back/", bring_back, "apikeys_apikey_bring_back"),
    ("review/", queue, "review_queue"),
    ("review/<slug:name>/", queue, "review_finding"),
]
