"""What tells others how the product does: health, and metrics."""
