"""People who administer: how they sign in, prove who they are, and where they are signed in."""
