"""The request log, usage statistics and retention."""
