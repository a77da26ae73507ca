"""The job types, one module for each thing they are about."""
