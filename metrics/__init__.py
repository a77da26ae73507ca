"""Metrics of this host for Prometheus: counted in every process, read at a scrape."""
