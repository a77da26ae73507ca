"""The worker process and its runners."""
