"""Hand-over links."""
