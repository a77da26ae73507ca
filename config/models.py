"""No tables. Django tells only apps with this module when migrations are done (``config.roles``)."""
