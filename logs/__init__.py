"""What callers did: request ids now; the request log, usage and retention stand here."""
