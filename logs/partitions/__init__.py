"""The request log on PostgreSQL, divided by day, so that retention drops tables.

Models and queries know nothing of it. ``catalogue`` reads what there is, ``conversion`` makes it of
a usual table, and ``upkeep`` makes days ahead and drops those that are over. SQLite has none of it.
"""
