"""Why a request was refused, what has changed since, and what would let it pass."""
