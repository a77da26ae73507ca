"""API keys, their lifecycle, and the guard of the API."""
