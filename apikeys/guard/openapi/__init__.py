"""The public schema, drawn from what the endpoints declare."""
