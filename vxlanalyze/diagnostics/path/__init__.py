"""Path: whether packets get from node to node."""
