"""From the spool to the database: each record once, with usage totals."""
