"""The admin site: its name, its login that cannot be guessed at, its front page."""

from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from config.login import GuardedAuthenticationForm


class LatchkeyAdminSite(UnfoldAdminSite):
    """The control center."""

    site_header = site_title = _("Latchkey")
    index_title = _("Overview")
    login_form = GuardedAuthenticationForm
