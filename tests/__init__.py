"""One folder an app, one file a rule's home, one test a rule."""
