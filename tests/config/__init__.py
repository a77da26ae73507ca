"""Settings, serving and the shape of the whole."""
