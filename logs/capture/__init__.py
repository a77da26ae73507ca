"""From a request to its record on disk: what is kept, what is masked."""
