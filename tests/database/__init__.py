"""Tests of ``database``."""
