"""Tests of the request log's partitions."""
