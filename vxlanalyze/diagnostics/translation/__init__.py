"""Whether addresses are translated on the path, and back."""
