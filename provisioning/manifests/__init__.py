"""Keys as code: files that say what there is to be, and what applying them changes."""
