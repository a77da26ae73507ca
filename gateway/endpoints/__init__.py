"""The API's endpoints for other services: whether a credential is good, and for what."""
