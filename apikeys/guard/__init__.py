"""What every API request passes: authentication, limits, permission, and the error voice."""
