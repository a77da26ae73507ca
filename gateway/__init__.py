"""Services guarded from outside: which rules they have, and who may pass."""
