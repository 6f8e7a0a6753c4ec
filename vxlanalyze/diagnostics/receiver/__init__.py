"""Whether the receiving node takes what arrives."""
