"""Keys, the guard and the limiter."""
