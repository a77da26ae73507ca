"""The processes of the product: the web server, and what must hold before it starts."""
