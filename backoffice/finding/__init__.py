"""The one search of the admin: what each app registered is looked through for one term."""
