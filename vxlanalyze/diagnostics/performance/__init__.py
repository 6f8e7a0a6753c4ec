"""Performance: whether packets arrive in time and in order."""
