"""Commands of managing keys as code."""
