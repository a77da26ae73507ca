"""The web server and its startup checks."""
