"""The app's endpoints."""
