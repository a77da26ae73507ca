"""The check-up: what is wrong with an installation, and what to do about it.

``examination.py`` asks one module after the other. A rule that finds nothing on a good system and
changes nothing on any belongs here.
"""
