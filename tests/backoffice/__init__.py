"""Tests of what every admin uses."""
