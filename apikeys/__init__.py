"""Keys: their form, storage, life, and the guard every API request passes."""
