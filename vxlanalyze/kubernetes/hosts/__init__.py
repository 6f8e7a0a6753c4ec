"""What the tools of a host print: each kind recognised by its first lines, and read with line numbers."""
