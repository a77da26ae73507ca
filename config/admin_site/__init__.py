"""The admin site: pages, sign-in, staff, roles and what its requests pass through."""
