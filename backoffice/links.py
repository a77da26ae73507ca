"""Links from one page of the admin to another."""

from typing import Any

from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def link_to(row: Any, text: Any = None) -> SafeString:
    """Return a link to a row's page, whatever its model; blank for no row."""
    if row is None:
        return SafeString()
    address = reverse(admin_urlname(row._meta, SafeString("change")), args=(row.pk,))
    return format_html('<a class="latchkey-link" href="{}">{}</a>', address, text or row)
