"""The background process: periodic work, and the processes that run jobs."""
