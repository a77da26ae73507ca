"""What a request costs, measured, and the machines that many requests need, computed from it."""
