"""Words, numbers, times and escaping, for diagnostics and reports alike."""
