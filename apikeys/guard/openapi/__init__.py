"""The OpenAPI schema, generated from what the endpoints declare."""
