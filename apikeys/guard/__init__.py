"""What every API request passes: authentication, rate limits, permissions and errors."""
