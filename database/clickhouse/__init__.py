"""A backend of Django's for ClickHouse, over HTTP: reads through the ORM, and inserts in bulk.

Loaded only where ``LOG_STORE_URL`` names a server. It has no transactions and makes no tables:
``logs.stores.clickhouse`` says what is stored.
"""
