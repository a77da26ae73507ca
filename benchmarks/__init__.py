"""What the product costs and holds, measured; `make bench` runs it."""
