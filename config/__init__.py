"""Settings, addresses and server wiring."""
