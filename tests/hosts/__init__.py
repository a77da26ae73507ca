"""The promises over two hosts, and what is lost with a host or with PostgreSQL's primary."""
