"""The promises of the README, in their short form."""
