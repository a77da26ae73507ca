"""Telemetry: ingestion, endpoints, admin, and hourly totals."""
