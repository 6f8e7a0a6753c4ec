"""Size: whether the size of packets decides."""
