"""Translation: whether addresses are translated on the path, and back."""
