"""Whether packets arrive in time and in order."""
