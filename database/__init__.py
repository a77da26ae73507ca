"""What every app's storage uses: connections, deadlines, fields, ids. It knows nothing of keys."""
