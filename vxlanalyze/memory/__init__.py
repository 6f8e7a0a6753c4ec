"""A memory limit, and the allocator that enforces it."""
