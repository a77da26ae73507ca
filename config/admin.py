"""Staff accounts in the admin, where Django looks for them."""

from config.admin_site.staff import StaffAdmin

__all__ = ["StaffAdmin"]
