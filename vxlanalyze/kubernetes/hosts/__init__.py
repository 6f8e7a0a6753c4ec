"""Output of host tools: each kind is recognised by its first lines and read with line numbers."""
