"""The commands that make a credential, or a link by which it is handed over."""
