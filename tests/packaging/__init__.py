"""Tests of what ships around the code: locks, versions, images, units, upgrades."""
