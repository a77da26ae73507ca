"""From the disk to the database: each record once, and what is added up on the way."""
