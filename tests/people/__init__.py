"""How people sign in, and what they prove."""
