"""Backups: what a file holds, how it is made while writes go on, and how it is restored.

The choices are in ``docs/decisions.md``, "A backup is rows, not files of a database".
"""
