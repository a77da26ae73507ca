"""The clients, before a product that runs."""
