"""What the app's endpoints take and answer."""
