"""Whether the size of packets decides."""
