"""What of the keys should be reviewed, and the changes that are proposed for it."""
