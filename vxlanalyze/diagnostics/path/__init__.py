"""Whether packets get from node to node."""
