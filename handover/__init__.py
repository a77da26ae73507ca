"""Hand-over links: whoever a key is for has its secret made, and sees it alone, once."""
